"""`pinfold stats`: what this node stores, what that costs its disk, and what it moves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from node.cli.api.response import ApiResponse
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes
from node.cli.session import CommandSession, json_option, session


@click.command("stats")
@json_option
@session
def command(context: CommandSession, as_json: bool) -> None:
    """What this node stores, what it takes on the disk, the bytes written a byte stored, and the traffic."""
    found = context.api().get("/v1/stats")
    if as_json:
        emit(dict(found.raw))
        return
    for name, value in _lines(found):
        say(f"{name:<10}{value}")


def _lines(found: ApiResponse) -> Iterator[tuple[str, str]]:
    yield "blocks", f"{found.number('blocks')}, {human_bytes(found.number('bytes'))}"
    yield "on disk", human_bytes(found.number("held"))
    yield "free", human_bytes(found.number("free"))
    for name in ("quota", "cached", "reserved"):
        if size := found.number(name):
            yield name, human_bytes(size)
    if damaged := found.number("damaged"):
        yield "damaged", f"{damaged} blocks"
    yield "stored", f"{human_bytes(found.number('stored'))} since the start"
    if found.raw.get("written") is not None:
        yield "written", _written(found)
    for way, came in found.answer("fetched").items():
        if came.number("blocks"):
            yield "fetched", _came(way, came)
    for scope, ways in found.answer("bandwidth").items():
        yield scope, ", ".join(f"{way} {_passed(passed)}" for way, passed in ways.items())


_WAYS = {
    "bulk": "from members in bulk",
    "members": "from members over libp2p",
    "open": "from the open network",
    "gateways": "from trustless gateways",
}


def _came(way: str, came: ApiResponse) -> str:
    share = came.raw.get("share")
    percent = f", {100 * share:.0f} %" if isinstance(share, int | float) else ""
    return (
        f"{_WAYS.get(way, way)}: {came.number('blocks')} blocks, {human_bytes(came.number('bytes'))}{percent}"
    )


def _passed(passed: ApiResponse) -> str:
    limit = f", limit {human_bytes(passed.number('limit'))}/s" if passed.number("limit") else ""
    rate = passed.number("rate")
    return f"{human_bytes(passed.number('bytes'))} ({human_bytes(rate)}/s{limit})"


def _written(found: ApiResponse) -> str:
    size, ratio = human_bytes(found.number("written")), found.raw.get("written_per_byte")
    return f"{size}, {ratio:.2f} bytes a byte stored" if isinstance(ratio, int | float) else size
