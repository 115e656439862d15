"""`pinfold cluster`: who belongs to it, and where they are."""

from __future__ import annotations

import io
import sys

import click

from cluster.members.invite import MAX_LIFETIME
from node.cli.api.client import segment
from node.cli.commands import cluster_drain, cluster_log, cluster_rebalance
from node.cli.errors import Failure
from node.cli.input.numbers import whole_number
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session


@click.group("cluster")
def command() -> None:
    """The cluster this node belongs to."""


@command.command("invite")
@click.option("--follower", is_flag=True, help="The new member holds blocks but may not change the pinset.")
@click.option(
    "--expires",
    default="86400",
    show_default=True,
    metavar="SECONDS",
    callback=whole_number("seconds", least=1, most=MAX_LIFETIME),
    help="How long the token is good.",
)
@click.option("--qr", is_flag=True, help="Show the token as a QR code, too.")
@json_option
@session
def invite(context: CommandSession, follower: bool, expires: str, qr: bool, as_json: bool) -> None:
    """Print one token that lets one more machine join. It holds the cluster's secret: keep it private."""
    role = "follower" if follower else "trusted"
    token = (
        context.api().post("/v1/invite", [("role", role), ("expires", str(int(expires, 0)))]).text("token")
    )
    if qr:
        for line in _code(token).splitlines():
            say(line, err=as_json)
    if as_json:
        emit({"token": token, "role": role, "expires": int(expires, 0)})
        return
    say("On the new machine: pinfold init --join - && pinfold daemon", err=True)
    say("The first asks for this line; like that it is in no list of processes:", err=True)
    say(token)


@command.command("connect")
@click.argument("address")
@json_option
@session
def connect(context: CommandSession, address: str, as_json: bool) -> None:
    """Say where a member is now, after it has moved: it sends this node the addresses of the others.

    ADDRESS is one that `pinfold id` prints there under "cluster", such as
    /ip4/192.0.2.7/tcp/9096/p2p/12D3Koo…
    """
    answer = context.api().post("/v1/connect", [("address", address)])
    if as_json:
        emit(dict(answer.raw))
    else:
        say(f"connected to {answer.text('peer')}  {answer.text('name')}".rstrip())


@command.command("remove")
@click.argument("member", metavar="PEER")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@session
def remove(context: CommandSession, member: str, yes: bool, as_json: bool) -> None:
    """Remove a member that is gone for good, by its peer id or its name.

    Its pins are placed anew as for one that is gone, and it stays out until it is invited again.
    """
    api = context.api()
    if not member:
        raise Failure("nothing was removed: the empty name is nobody's")
    if not yes:
        if not sys.stdin.isatty():
            raise Failure("nothing was removed: there is nobody to ask here, add --yes")
        click.confirm(f"Remove {ascii(member)[1:-1]} from the cluster?", abort=True, err=True)
    answer = api.delete(f"/v1/members/{segment(member)}")
    if as_json:
        emit(dict(answer.raw))
    else:
        say(f"removed {answer.text('peer')}  {answer.text('name')}".rstrip())


command.add_command(cluster_drain.drain)
command.add_command(cluster_rebalance.rebalance)
command.add_command(cluster_log.sync)
command.add_command(cluster_log.compact)


def _code(token: str) -> str:
    """A QR code in half blocks: 73 columns for a token of 350 characters."""
    import segno  # late: only this needs it

    drawn = io.StringIO()
    segno.make_qr(token, error="l").terminal(out=drawn, compact=True)
    return drawn.getvalue()
