"""`pinfold gc`."""

from __future__ import annotations

import click

from node.cli.context import Session, emit, json_option, say, session


@click.command("gc")
@json_option
@session
def command(context: Session, as_json: bool) -> None:
    """Remove blocks that no pin needs from this node; the space goes back to the disk."""
    removed = 0
    for line in context.rpc().lines("POST", "/api/v0/repo/gc"):
        removed += 1
        if as_json:
            emit({"cid": line.answer("Key").text("/")})
    if not as_json:
        say(f"removed {removed} blocks")
