"""`pinfold cat CID[/PATH]...`."""

from __future__ import annotations

import click

from node.cli.context import Session, no_json, session, write_out
from node.cli.inputs import Inputs


@click.command("cat")
@click.argument("paths", metavar="CID|PATH...", nargs=-1, required=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Byte of each file to begin at.")
@click.option("--length", type=click.IntRange(min=0), default=None, help="Bytes to print at most of each.")
@no_json("bytes")
@session
def command(context: Session, paths: tuple[str, ...], offset: int, length: int | None) -> None:
    """Print the bytes of files, one behind the other."""
    query = [("offset", str(offset))] + ([("length", str(length))] if length is not None else [])
    inputs = Inputs("printed", len(paths))
    for path in paths:
        with inputs.one(path):
            write_out(context.rpc().download("POST", "/api/v0/cat", [("arg", path), *query]))
    inputs.finish()
