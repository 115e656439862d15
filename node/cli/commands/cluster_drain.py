"""`pinfold cluster drain`: a member's pins go to others, shown first and done on a word."""

from __future__ import annotations

import sys

import click

from node.cli.api.client import segment
from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes
from node.cli.session import CommandSession, json_option, session


@click.command("drain")
@click.argument("member", metavar="PEER")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would go where.")
@click.option("--undo", is_flag=True, help="Have it take new pins again; what went stays where it is.")
@json_option
@session
def drain(context: CommandSession, member: str, yes: bool, dry_run: bool, undo: bool, as_json: bool) -> None:
    """Have all pins of a member go to others, and no new ones come to it, by its peer id or its name.

    Says first what goes where. A copy is let go of only when others have as many as the pin asks for. It goes
    on by itself, whatever happens to this command or to this node: `pinfold jobs` says how far it is.
    """
    if undo and dry_run:
        raise click.UsageError("--undo and --dry-run contradict each other")
    if not member:
        raise Failure("nothing was changed: the empty name is nobody's")
    api, path = context.api(), f"/v1/members/{segment(member)}/drain"
    if undo:
        _print(api.delete(path), as_json, "takes new pins again")
        return
    plan = api.get(path)
    if not as_json:
        _say_plan(plan)
    if dry_run:
        if as_json:
            emit(dict(plan.raw))
        return
    if not yes:
        _ask(plan)
    _print(api.post(path), as_json, "is being drained: `pinfold jobs` says how far it is")


def _ask(plan: ApiResponse) -> None:
    if not sys.stdin.isatty():
        raise Failure("nothing was changed: there is nobody to ask here, add --yes")
    click.confirm(f"Drain {ascii(_named(plan))[1:-1]}?", abort=True, err=True)


def _print(answer: ApiResponse, as_json: bool, what: str) -> None:
    if as_json:
        emit(dict(answer.raw))
    else:
        say(f"{_named(answer)} {what}")


def _say_plan(plan: ApiResponse) -> None:
    """What goes where, what stays and why, and how long it takes at least."""
    say(f"{_named(plan)} holds {plan.number('total')} pins by name, {_size(plan)}")
    if plan.number("looked_at") < plan.number("total"):
        say(f"of these {plan.number('looked_at')} were looked at:")
    for target in plan.answers("to"):
        say(f"  {target.number('pins')} to {_named(target)}  {target.text('peer')}, {_size(target)}")
    if others := plan.answer("let_go").number("pins"):
        say(f"  {others} are held by enough others already")
    for stay in plan.answers("stay"):
        say(f"  {stay.number('pins')} stay: {stay.text('reason')}")
    if everywhere := plan.number("everywhere"):
        say(f"{everywhere} more are for every member: they stay until it is removed")
    say(f"at least {max(1, plan.number('seconds'))} s, by cluster.repin_rate")


def _size(tally: ApiResponse) -> str:
    unknown = tally.number("unsized")
    return human_bytes(tally.number("bytes")) + (f" and {unknown} of unknown size" if unknown else "")


def _named(member: ApiResponse) -> str:
    return member.text("name") or member.text("peer")
