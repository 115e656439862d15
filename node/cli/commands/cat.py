"""`pinfold cat CID[/PATH]...`."""

from __future__ import annotations

import click

from node.cli.input.inputs import Inputs, content
from node.cli.input.numbers import whole_number
from node.cli.output.printing import write_out
from node.cli.session import CommandSession, no_json, session

_BYTES = whole_number("bytes", least=0, most=10**18 - 1)


@click.command("cat")
@click.argument("paths", metavar="CID|PATH...", nargs=-1, required=True)
@click.option(
    "--offset", metavar="BYTES", callback=_BYTES, default="0", help="Byte of each file to begin at."
)
@click.option("--length", metavar="BYTES", callback=_BYTES, help="Bytes to print at most of each.")
@no_json("bytes")
@session
def command(context: CommandSession, paths: tuple[str, ...], offset: str, length: str | None) -> None:
    """Print the bytes of files, one behind the other."""
    given = (("offset", offset), ("length", length))
    query = [(name, str(int(value, 0))) for name, value in given if value is not None]
    inputs = Inputs("printed", len(paths))
    for path in paths:
        with inputs.one(path):
            write_out(context.rpc().download("POST", "/api/v0/cat", [("arg", content(path)), *query]))
    inputs.finish()
