"""`pinfold version`."""

from __future__ import annotations

import platform

import click

from node.cli.output.printing import emit, say
from node.cli.session import json_option
from node.version import VERSION


@click.command("version")
@json_option
def command(as_json: bool) -> None:
    """Print the version."""
    if as_json:
        emit({"version": VERSION, "python": platform.python_version(), "system": platform.platform()})
    else:
        say(f"pinfold {VERSION}")
