"""`pinfold provide stat`: what the DHT was told of this node, and what it is to be told."""

from __future__ import annotations

from collections.abc import Iterator

import click

from node.cli.api.response import ApiResponse
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session

_DHTS = {"public DHT": "false", "local networks": "true"}
_SECOND = 1_000_000_000  # nanoseconds


@click.group("provide")
def command() -> None:
    """Telling the DHT what this node has."""


@command.command("stat")
@json_option
@session
def stat(context: CommandSession, as_json: bool) -> None:
    """What is due, what is done and how long it takes, in each DHT."""
    rpc = context.rpc()
    found = {
        name: rpc.post("/api/v0/provide/stat", [("lan", lan)]).answer("Sweep") for name, lan in _DHTS.items()
    }
    if as_json:
        emit({name: dict(one.raw) for name, one in found.items()})
        return
    for name, one in found.items():
        say(f"{name}: {one.answer('connectivity').text('status')}")
        for label, value in _lines(one):
            say(f"  {label:<10}{value}")


def _lines(found: ApiResponse) -> Iterator[tuple[str, str]]:
    schedule, queues = found.answer("schedule"), found.answer("queues")
    operations, network = found.answer("operations"), found.answer("network")
    past = operations.answer("past")
    yield "names", f"{schedule.number('keys')}, next at {schedule.text('next_reprovide_at')}"
    waiting = queues.number("pending_key_provides") + operations.answer("ongoing").number("key_provides")
    yield "due", f"{waiting} new, {queues.number('pending_region_reprovides')} again without pauses"
    yield "done", f"{past.number('keys_provided')} names, {past.number('records_provided')} records"
    if failed := past.number("keys_failed"):
        yield "failed", f"{failed} names: told again in the next cycle"
    if regions := schedule.number("regions"):
        yield "regions", f"{regions}, {_seconds(past, 'reprovide_duration')} each, {_slowest(past)}"
        yield (
            "servers",
            f"{network.number('reachable')} of {network.number('peers')} took what they were told",
        )


def _slowest(past: ApiResponse) -> str:
    return f"the slowest {_seconds(past, 'slowest_reprovide_duration')}"


def _seconds(found: ApiResponse, name: str) -> str:
    return f"{found.number(name) / _SECOND:.1f} s"
