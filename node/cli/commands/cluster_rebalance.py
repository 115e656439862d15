"""`pinfold cluster rebalance`: pins go to members that have more room, shown first and done on a word."""

from __future__ import annotations

import sys

import click

from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes
from node.cli.session import CommandSession, json_option, session


@click.command("rebalance")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would go where.")
@json_option
@session
def rebalance(context: CommandSession, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Have pins go from members that are fuller than others to those with more room, as one that is new.

    Says first what goes where. A copy is let go of only when others have as many as the pin asks for. It goes
    on at this node, after restarts too: `pinfold jobs` says how far it is.
    """
    api = context.api()
    plan = api.get("/v1/rebalance")
    if not as_json:
        _say_plan(plan)
    if dry_run or not plan.number("pins"):
        if as_json:
            emit(dict(plan.raw))
        return
    if not yes:
        if not sys.stdin.isatty():
            raise Failure("nothing was changed: there is nobody to ask here, add --yes")
        click.confirm("Rebalance?", abort=True, err=True)
    begun = api.post("/v1/rebalance")
    if as_json:
        emit(dict(begun.raw))
    else:
        say("it has begun: `pinfold jobs` says how far it is")


def _say_plan(plan: ApiResponse) -> None:
    for member in plan.answers("members"):
        before, after = human_bytes(member.number("before")), human_bytes(member.number("after"))
        say(f"{member.text('name') or member.text('peer')}: {before} now, {after} then")
    if not plan.number("pins"):
        say("nothing would move: all are about equally full")
        return
    for move in plan.answers("moves"):
        say(f"  {_move(move)}")
    if fixed := plan.number("fixed"):
        say(f"{fixed} pins stay where they are: they are for every member, or for named ones")
    say(f"at least {max(1, plan.number('seconds'))} s, by cluster.repin_rate")


def _move(move: ApiResponse) -> str:
    source = move.text("from_name") or move.text("from")
    target = move.text("to_name") or move.text("to")
    unknown = move.number("unsized")
    size = human_bytes(move.number("bytes")) + (f" and {unknown} of unknown size" if unknown else "")
    if not target:
        return f"{move.number('pins')} pins that have a holder too many leave {source}"
    return f"{move.number('pins')} pins from {source} to {target}, {size}"
