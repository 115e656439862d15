"""`pinfold cluster invite`."""

from __future__ import annotations

import click

from node.cli.context import Session, emit, json_option, session


@click.group("cluster")
def command() -> None:
    """The cluster this node belongs to."""


@command.command("invite")
@click.option("--follower", is_flag=True, help="The new member holds blocks but may not change the pinset.")
@click.option(
    "--expires", default=86_400, show_default=True, metavar="SECONDS", help="How long the token is good."
)
@json_option
@session
def invite(context: Session, follower: bool, expires: int, as_json: bool) -> None:
    """Print one token that lets one more machine join. It holds the cluster's secret: keep it private."""
    role = "follower" if follower else "trusted"
    token = context.api().post("/v1/invite", [("role", role), ("expires", str(expires))]).text("token")
    if as_json:
        emit({"token": token, "role": role, "expires": expires})
    else:
        click.echo("On the new machine: pinfold init --join TOKEN && pinfold daemon", err=True)
        click.echo(token)
