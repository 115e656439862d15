"""`pinfold jobs`: long work of this node and its cluster."""

from __future__ import annotations

import click

from node.cli.api.client import segment
from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes
from node.cli.session import CommandSession, json_option, session

_VERBS = ("pause", "resume", "cancel")


@click.command("jobs")
@click.argument("verb", required=False, type=click.Choice(_VERBS), metavar="[pause|resume|cancel]")
@click.argument("job", required=False, metavar="[ID]")
@json_option
@session
def command(context: CommandSession, verb: str | None, job: str | None, as_json: bool) -> None:
    """List long work, with what is left, how fast it goes and how long that takes; or stop one of it.

    A drain goes on in the whole cluster: what is asked of it here holds for all members.
    """
    api = context.api()
    if verb is None:
        _list(api.get("/v1/jobs").answers("jobs"), as_json)
        return
    if not job:
        raise Failure(f"{verb} which job? `pinfold jobs` lists them")
    answer = api.post(f"/v1/jobs/{segment(job)}/{verb}")
    if as_json:
        emit(dict(answer.raw))
    else:
        say(_line(answer))


def _list(jobs: list[ApiResponse], as_json: bool) -> None:
    for one in jobs:
        if as_json:
            emit(dict(one.raw))
        else:
            say(_line(one))
            if detail := one.text("detail"):
                say(f"  {detail}")


def _line(one: ApiResponse) -> str:
    """`drain-12D3… attic  running  40 of 120 pins, 12.5 pins a second, 6 s left`."""
    told = f"{one.text('id')}  {one.text('subject')}  {one.text('state')}  {_done(one)}"
    if one.raw.get("seconds_left") is not None:
        return f"{told}, {_amount(one, one.raw.get('rate'))} a second, {one.number('seconds_left')} s left"
    return told


def _done(one: ApiResponse) -> str:
    done = one.number("done")
    if one.raw.get("left") is None:
        return _amount(one, done)
    return f"{_amount(one, done)} of {_amount(one, done + one.number('left'))}"


def _amount(one: ApiResponse, count: object) -> str:
    number = count if isinstance(count, int | float) else 0
    unit = one.text("unit")
    return human_bytes(number) if unit == "bytes" else f"{number:g} {unit}"
