"""`pinfold peers`."""

from __future__ import annotations

import click

from node.cli.output.printing import emit, say, shortened
from node.cli.session import CommandSession, json_option, session


@click.command("peers")
@json_option
@session
def command(context: CommandSession, as_json: bool) -> None:
    """The members of the cluster, those that do not answer included."""
    problem = context.api().get("/v1/cluster").text("problem")
    if problem:
        say(problem, err=as_json)
    for peer in context.api().lines("GET", "/peers"):
        if as_json:
            emit(dict(peer.raw))
            continue
        state = f"not answering: {shortened(peer.text('error'))}" if peer.text("error") else "online"
        say(f"{peer.text('id')}  {peer.text('peername') or '-'}  {state}")
        for address in peer.texts("addresses"):
            say(f"  {address}")
