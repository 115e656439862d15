"""`pinfold init`: a data folder, a key, and a cluster of one or an invitation to one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from blockstore.common.text_file import BadText, decode_text
from node.cli.errors import Failure
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session
from node.datadir.init import create_node

_MAX_TOKEN = 64 * 1024  # bytes read of a file or a pipe


@click.command("init")
@click.option(
    "--join",
    "token",
    metavar="TOKEN",
    help="The line that `pinfold cluster invite` printed; - reads it from standard input, out of the sight of"
    " users who list processes.",
)
@click.option(
    "--join-file",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A file that holds the token.",
)
@click.option("--name", default="", help="This machine's name among the members (default: its host name).")
@click.option(
    "--public",
    is_flag=True,
    help="Take part in the public IPFS network: listen on every address, use its DHT.",
)
@json_option
@session
def command(
    context: CommandSession,
    /,
    token: str | None,
    file: Path | None,
    name: str,
    public: bool,
    as_json: bool,
) -> None:
    """Create the data folder, this node's identity, and its cluster: a new one, or the inviting one.

    In a folder that is set up, a new invitation to the same cluster lets a removed node in again.
    """
    if token is not None and file is not None:
        raise click.UsageError("--join and --join-file: give one of them")
    token = _from_input() if token == "-" else token if file is None else _from_file(file)
    created = create_node(context.folder, token, name, public=public)
    if as_json:
        joins = {"cluster": created.cluster_name, "joins": token is not None}
        emit({"id": created.peer_id, "folder": str(context.folder.root), **joins})
        return
    say(f"peer id   {created.peer_id}")
    say(f"folder    {context.folder.root}")
    say(
        f"cluster   {created.cluster_name}" + (" (joins when the daemon starts)" if token is not None else "")
    )
    say("next      pinfold daemon")


def _from_input() -> str:
    if sys.stdin is None or sys.stdin.closed:
        raise Failure("there is no standard input to read the token from: use --join-file FILE")
    if sys.stdin.isatty():
        say("The line that `pinfold cluster invite` printed:", err=True)
        return _text(sys.stdin.buffer.readline(_MAX_TOKEN))
    return _text(sys.stdin.buffer.read(_MAX_TOKEN))


def _from_file(path: Path) -> str:
    with path.open("rb") as file:
        try:
            return _text(file.read(_MAX_TOKEN))
        except BadText as error:
            raise Failure(f"{path} holds no join token: {error}") from None


def _text(data: bytes) -> str:
    """Whatever editor or system it comes from: with a byte order mark, any line ends. Raises BadText."""
    return decode_text(data).strip()
