"""POST /v1/gc: what was removed, and what is held back for other members."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from node.http.app_key import PARTS
from node.http.go.gojson import Json
from node.http.rest.json_stream import stream_json
from node.services.gc import HeldBackPin

MAX_HELD_LINES = 100
"""Pins held back that are named; the others are counted."""


async def collect(request: web.Request) -> web.StreamResponse:
    """A line a block that was removed, a line a pin whose blocks stay for others, last the counts."""
    return await stream_json(request, _lines(request))


async def _lines(request: web.Request) -> AsyncGenerator[Json]:
    held: list[Json] = []
    count = removed = size = 0

    def report(one: HeldBackPin) -> None:
        nonlocal count
        count += 1
        if count <= MAX_HELD_LINES:
            held.append({"held": str(one.pin.cid), "name": one.pin.options.name, "reason": one.reason})

    async with aclosing(request.app[PARTS].garbage_collection.run(report)) as pages:
        async for swept in pages:
            removed, size = removed + len(swept.cids), size + swept.bytes
            for cid in swept.cids:
                yield {"cid": str(cid)}
    for line in held:
        yield line
    yield {"removed": removed, "bytes": size, "pins_held": count}
