"""POST /v1/store/check: blocks verified, and mended."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from aiohttp import web

from cluster.errors import NotPinned
from cluster.pin import PinMode
from node.http.app_key import PARTS
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.rest.json_stream import stream_json
from node.parts import Parts
from node.services.store_check import CheckStep

_PROGRESS_SECONDS = 1.0


async def check(request: web.Request) -> web.StreamResponse:
    """`cid`: that pin alone; `repair`: fetch again what is bad. Progress, bad blocks, last the counts."""
    parts = request.app[PARTS]
    mend = query_values.boolean(request.query, "repair")
    if "cid" in request.query:
        cid = query_values.cid(request.query["cid"])
        recursive = await _is_recursive(parts, request.query["cid"])
        steps = parts.store_check.root(cid, recursive=recursive, mend=mend)
    else:
        steps = parts.store_check.all(mend=mend)
    return await stream_json(request, _lines(parts, steps))


async def _is_recursive(parts: Parts, text: str) -> bool:
    """Of what is not pinned, all is looked at."""
    try:
        pin = await parts.cluster.get_pin(query_values.cid(text))
    except NotPinned:
        return True
    return pin.options.mode is PinMode.RECURSIVE


class _Report:
    """What is told of one check."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._counts = dict.fromkeys(("blocks", "bytes", "damaged", "unreadable", "missing", "mended"), 0)
        self._quiet_until = 0.0

    def lines(self, step: CheckStep) -> Iterator[Json]:
        found = step.verified
        self._counts["blocks"] += found.blocks
        self._counts["bytes"] += found.bytes
        for what, cids in (
            ("damaged", found.damaged),
            ("unreadable", found.unreadable),
            ("missing", found.missing),
            ("mended", step.mended),
        ):
            self._counts[what] += len(cids)
            yield from ({what: str(cid)} for cid in cids)
        yield from ({"failed": str(cid), "reason": why} for cid, why in step.failed.items())
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _PROGRESS_SECONDS
            yield {"checking": {**self._counts, "total": self._total}}

    def counts(self) -> Json:
        return {"checked": dict(self._counts)}


async def _lines(parts: Parts, steps: AsyncGenerator[CheckStep]) -> AsyncGenerator[Json]:
    report = _Report((await parts.store.usage()).bytes)
    async with aclosing(steps):
        async for step in steps:
            for line in report.lines(step):
                yield line
    yield report.counts()
