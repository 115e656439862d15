"""`pinfold init`: a data folder, a key, and a cluster of one or an invitation to one."""

from __future__ import annotations

import click

from node.cli.context import Session, say, session
from node.setup import create_node


@click.command("init")
@click.option("--join", "token", metavar="TOKEN", help="The line that `pinfold cluster invite` printed.")
@click.option("--name", default="", help="This machine's name among the members (default: its host name).")
@session
def command(context: Session, token: str | None, name: str) -> None:
    """Create the data folder, this node's identity, and its cluster: a new one, or the inviting one."""
    created = create_node(context.folder, token, name)
    say(f"peer id   {created.peer_id}")
    say(f"folder    {context.folder.root}")
    say(
        f"cluster   {created.cluster_name}" + (" (joins when the daemon starts)" if token is not None else "")
    )
    say("next      pinfold daemon")
