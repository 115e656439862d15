"""`pinfold cat CID[/PATH]`."""

from __future__ import annotations

import click

from node.cli.context import Session, session


@click.command("cat")
@click.argument("path")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Byte to begin at.")
@click.option("--length", type=click.IntRange(min=0), default=None, help="Bytes to print at most.")
@session
def command(context: Session, path: str, offset: int, length: int | None) -> None:
    """Print a file's bytes."""
    query = [("arg", path), ("offset", str(offset))] + (
        [("length", str(length))] if length is not None else []
    )
    out = click.get_binary_stream("stdout")
    for part in context.rpc().download("POST", "/api/v0/cat", query):
        out.write(part)
    out.flush()
