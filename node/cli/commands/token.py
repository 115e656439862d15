"""`pinfold token`: what others show to this node's APIs."""

from __future__ import annotations

import click

from node.access.rights import TokenScope
from node.cli.api.client import segment
from node.cli.api.response import ApiResponse
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session


@click.group("token")
def command() -> None:
    """Tokens for the APIs of this node: each may read, pin, or do everything."""


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    required=True,
    type=click.Choice([scope.value for scope in TokenScope]),
    help="read: look at everything. pin: add, pin and unpin, too. admin: everything.",
)
@click.option("--owner", default="", metavar="NAME", help="It changes pins of this owner alone.")
@json_option
@session
def create(context: CommandSession, name: str, scope: str, owner: str, as_json: bool) -> None:
    """Make a token and print it, once: only its hash is kept. It counts at once.

    Callers send it as a Bearer token, or as the password of any user.
    """
    query = [("name", name), ("scope", scope), ("owner", owner)]
    made = context.api().post("/v1/tokens", [(key, value) for key, value in query if value or key == "name"])
    if as_json:
        emit(dict(made.raw))
        return
    say(f"Who sends this line may {_MAY[TokenScope(scope)]}{_of(owner)}; it is shown this once:", err=True)
    say(made.text("token"))


@command.command("list")
@json_option
@session
def list_tokens(context: CommandSession, as_json: bool) -> None:
    """What each token is for, and when it was made."""
    for token in context.api().lines("GET", "/v1/tokens"):
        if as_json:
            emit(dict(token.raw))
        else:
            say(_line(token))


@command.command("revoke")
@click.argument("name")
@json_option
@session
def revoke(context: CommandSession, name: str, as_json: bool) -> None:
    """Make a token good for nothing, at once. What was pinned with it stays."""
    gone = context.api().delete(f"/v1/tokens/{segment(name)}")
    if as_json:
        emit(dict(gone.raw))
    else:
        say(f"revoked {gone.text('name')}")


_MAY = {
    TokenScope.READ: "read",
    TokenScope.PIN: "read, add, pin and unpin",
    TokenScope.ADMIN: "do everything",
}


def _of(owner: str) -> str:
    return f" what is of {owner}" if owner else ""


def _line(token: ApiResponse) -> str:
    owner = token.text("owner") or "-"
    return f"{token.text('name'):<24} {token.text('scope'):<6} {owner:<16} {token.text('created')}"
