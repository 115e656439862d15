"""`pinfold cat CID[/PATH]`."""

from __future__ import annotations

import click

from node.cli.context import Session, session, write_out


@click.command("cat")
@click.argument("path")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Byte to begin at.")
@click.option("--length", type=click.IntRange(min=0), default=None, help="Bytes to print at most.")
@session
def command(context: Session, path: str, offset: int, length: int | None) -> None:
    """Print a file's bytes."""
    query = [("arg", path), ("offset", str(offset))]
    if length is not None:
        query.append(("length", str(length)))
    write_out(context.rpc().download("POST", "/api/v0/cat", query))
