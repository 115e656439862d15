"""POST /v1/gc: what was removed, and what is held back for other members. POST /ipfs/gc: on all of them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from aiohttp import web

from blockstore.pinning.gc import Marked
from blockstore.upkeep import Swept
from node.http.app_key import PARTS
from node.http.go import query_values
from node.http.go.gojson import Json, sorted_map
from node.http.rest import shapes
from node.http.rest.json_errors import json_response
from node.http.rest.json_stream import stream_json
from node.services.gc import HeldBackPin

MAX_HELD_LINES = 100
"""Pins held back that are named; the others are counted."""


_PROGRESS_SECONDS = 1.0


async def collect(request: web.Request) -> web.StreamResponse:
    """Progress, a line a block that went, a line a pin whose blocks stay for others, last the counts."""
    return await stream_json(request, _lines(request))


async def collect_members(request: web.Request) -> web.Response:
    """GlobalRepoGC: each member removes its garbage, one after the other; with `local` this one alone."""
    local = query_values.boolean(request.query, "local")
    peers = {
        member.peer: shapes.repo_gc(member, found)
        async for member, found in request.app[PARTS].member_gc.run(local)
    }
    return json_response({"peer_map": sorted_map(peers)})


class _Report:
    """What is told of one collection."""

    def __init__(self) -> None:
        self.held: list[Json] = []
        self._held = self._removed = self._bytes = 0
        self._quiet_until = 0.0

    def on_held_back(self, one: HeldBackPin) -> None:
        self._held += 1
        if self._held <= MAX_HELD_LINES:
            reason = {"held": str(one.pin.cid), "name": one.pin.options.name, "reason": one.reason}
            self.held.append(reason)

    def lines(self, step: Marked | Swept) -> Iterator[Json]:
        if isinstance(step, Swept):
            self._removed, self._bytes = self._removed + len(step.cids), self._bytes + step.bytes
            yield from ({"cid": str(cid)} for cid in step.cids)
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _PROGRESS_SECONDS
            yield self._progress(step)

    def counts(self) -> Json:
        return {"removed": self._removed, "bytes": self._bytes, "pins_held": self._held}

    def _progress(self, step: Marked | Swept) -> Json:
        if isinstance(step, Marked):
            return {"marking": {"roots": step.roots, "blocks": step.blocks}}
        return {"removing": {"blocks": self._removed, "bytes": self._bytes}}


async def _lines(request: web.Request) -> AsyncGenerator[Json]:
    report = _Report()
    async with aclosing(request.app[PARTS].garbage_collection.run(report.on_held_back)) as steps:
        async for step in steps:
            for line in report.lines(step):
                yield line
    for line in report.held:
        yield line
    yield report.counts()
