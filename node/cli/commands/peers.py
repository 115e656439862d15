"""`pinfold peers`."""

from __future__ import annotations

import click

from node.cli.api.response import ApiResponse
from node.cli.output.printing import emit, say, shortened
from node.cli.session import CommandSession, json_option, session


@click.command("peers")
@json_option
@session
def command(context: CommandSession, as_json: bool) -> None:
    """The members of the cluster, those that do not answer included, and which way their blocks come."""
    cluster = context.api().get("/v1/cluster")
    if problem := cluster.text("problem"):
        say(problem, err=as_json)
    for peer in context.api().lines("GET", "/peers"):
        way = _way(peer, cluster)
        if as_json:
            emit({**peer.raw, "blocks": way})
            continue
        state = f"not answering: {shortened(peer.text('error'))}" if peer.text("error") else "online"
        say(f"{peer.text('id')}  {peer.text('peername') or '-'}  {state}{way and f', blocks {_WAYS[way]}'}")
        for address in peer.texts("addresses"):
            say(f"  {address}")


_WAYS = {"bulk": "in bulk", "libp2p": "over libp2p"}


def _way(peer: ApiResponse, cluster: ApiResponse) -> str:
    """How this node fetches blocks of that member; empty for itself, and where it is not reached."""
    if peer.text("id") in cluster.answer("bulk").texts("reached"):
        return "bulk"
    return "" if peer.text("error") or peer.text("id") == cluster.text("peer") else "libp2p"
