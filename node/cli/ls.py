"""`pinfold ls CID[/PATH]`."""

from __future__ import annotations

import click

from node.cli.context import Session, emit, json_option, say, session
from node.cli.progress import human_bytes

_DIRECTORY = 1


@click.command("ls")
@click.argument("path")
@json_option
@session
def command(context: Session, path: str, as_json: bool) -> None:
    """List a directory: CID, size, name."""
    for line in context.rpc().lines("POST", "/api/v0/ls", [("arg", path), ("stream", "true")]):
        for link in (link for listing in line.answers("Objects") for link in listing.answers("Links")):
            if as_json:
                emit({"name": link.text("Name"), "cid": link.text("Hash"), "size": link.number("Size")})
                continue
            slash = "/" if link.number("Type") == _DIRECTORY else ""
            size = "-" if slash else human_bytes(link.number("Size"))
            say(f"{link.text('Hash')}  {size:>10}  {link.text('Name')}{slash}")
