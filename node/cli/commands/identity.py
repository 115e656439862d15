"""`pinfold id`."""

from __future__ import annotations

import click

from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session


@click.command("id")
@json_option
@session
def command(context: CommandSession, as_json: bool) -> None:
    """This node's peer id and every address, of the open swarm and of the cluster."""
    answer = context.api().get("/id")
    swarm = answer.answer("ipfs").texts("addresses")
    cluster = answer.texts("addresses")
    if as_json:
        names = {"id": answer.text("id"), "name": answer.text("peername"), "version": answer.text("version")}
        emit({**names, "addresses": swarm + cluster, "swarm": swarm, "cluster": cluster})
        return
    say(f"{answer.text('id')}  {answer.text('peername')}")
    for title, addresses in (("swarm", swarm), ("cluster", cluster)):
        say(f"{title}:" + (" off" if not addresses else ""))
        for address in addresses:
            say(f"  {address}")
