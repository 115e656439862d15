"""`pinfold events`: what happens, a line each, as it happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import islice

import click

from node.cli.api.event_stream import HeardEvent, listen
from node.cli.api.response import ApiResponse
from node.cli.input.inputs import content
from node.cli.input.numbers import whole_number
from node.cli.output.printing import emit, say, shortened
from node.cli.session import CommandSession, json_option, session


@click.command("events")
@click.option("--type", "types", default="", metavar="LIST", help="Only these: pin,status,member,alert,job.")
@click.option("--cid", "cids", multiple=True, metavar="CID", help="Only what is about it; may be repeated.")
@click.option(
    "--since", default="", metavar="ID", help="Go on behind that event; `oldest`: all that is kept."
)
@click.option("--count", metavar="N", callback=whole_number(least=1), help="End after so many.")
@json_option
@session
def command(
    context: CommandSession, types: str, cids: tuple[str, ...], since: str, count: str | None, as_json: bool
) -> None:
    """What happens, a line each, until Ctrl-C: pins, what becomes of them here, members, alerts, jobs."""
    query = [("types", types)] if types else []
    if cids:
        query.append(("cids", ",".join(map(content, cids))))
    heard = (event for event in listen(context.api(), query, since, _say_lost) if event.kind != "hello")
    for event in islice(heard, None if count is None else int(count, 0)):
        if as_json:
            emit({"id": event.id, **event.facts.raw})
        else:
            say(event_line(event))


def _say_lost(reason: str) -> None:
    say(f"{shortened(reason)}: connecting again", err=True)


def event_line(event: HeardEvent) -> str:
    """For people: the time, what it is about, what happened."""
    return f"{_time(event.facts)}  {event.kind:<6}  {_what(event.kind, event.facts)}"


def _time(facts: ApiResponse) -> str:
    at = facts.raw.get("at")
    return time.strftime("%H:%M:%S", time.localtime(at)) if isinstance(at, int | float) else " " * 8


def _what(kind: str, facts: ApiResponse) -> str:
    told = _TOLD.get(kind)
    return (
        told(facts) if told else f"what happened behind {facts.text('asked')} is not kept, or not all of it"
    )


def _pin(facts: ApiResponse) -> str:
    by = facts.text("author_name") or facts.text("author")
    said = f"{facts.text('change'):<8} {facts.text('cid')}  {facts.text('name')}".rstrip()
    return f"{said}  by {by}" if by else said


def _status(facts: ApiResponse) -> str:
    error = f"  {shortened(facts.text('error'))}" if facts.text("error") else ""
    return f"{facts.text('status').replace('_', ' '):<8} {facts.text('cid')}  at {_who(facts)}{error}"


def _member(facts: ApiResponse) -> str:
    return f"{facts.text('change'):<8} {_who(facts)}  ({facts.text('role') or 'no member'})"


def _alert(facts: ApiResponse) -> str:
    return f"no metric {facts.text('metric')} of {_who(facts)} any more"


def _job(facts: ApiResponse) -> str:
    left = f", {facts.number('left')} to go" if facts.raw.get("left") is not None else ""
    said = f"{facts.text('state'):<8} {facts.text('job')}  {facts.text('subject')}"
    return f"{said}  {facts.number('done')} {facts.text('unit')}{left}  {facts.text('detail')}"


def _who(facts: ApiResponse) -> str:
    return facts.text("name") or facts.text("peer")


_TOLD: Mapping[str, Callable[[ApiResponse], str]] = {
    "pin": _pin,
    "status": _status,
    "member": _member,
    "alert": _alert,
    "job": _job,
}
