"""`pinfold ls CID[/PATH]...`."""

from __future__ import annotations

import click

from node.cli.api.response import ApiResponse
from node.cli.input.inputs import Inputs, content
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes
from node.cli.session import CommandSession, json_option, session

_DIRECTORY = 1


@click.command("ls")
@click.argument("paths", metavar="CID|PATH...", nargs=-1, required=True)
@json_option
@session
def command(context: CommandSession, paths: tuple[str, ...], as_json: bool) -> None:
    """List directories: CID, size, name."""
    inputs = Inputs("listed", len(paths))
    for path in paths:
        with inputs.one(path):
            if len(paths) > 1 and not as_json:
                say(f"{path}:")
            _list(context, path, as_json)
    inputs.finish()


def _list(context: CommandSession, path: str, as_json: bool) -> None:
    for line in context.rpc().lines("POST", "/api/v0/ls", [("arg", content(path)), ("stream", "true")]):
        for link in (link for listing in line.answers("Objects") for link in listing.answers("Links")):
            name = link.exact_name("Name", "NameEscaped")
            if as_json:
                emit({"name": name, "cid": link.text("Hash"), "size": link.number("Size")})
            else:
                _show(link, name)


def _show(link: ApiResponse, name: str) -> None:
    slash = "/" if link.number("Type") == _DIRECTORY else ""
    size = "-" if slash else human_bytes(link.number("Size"))
    say(f"{link.text('Hash')}  {size:>10}  {name}{slash}")
