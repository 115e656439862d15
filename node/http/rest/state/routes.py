"""GET and POST /v1/state: the pinset written as ipfs-cluster's state export, and such a file read in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from aiohttp import web

from blockstore.common.tasks import background
from cluster.errors import BadUpdate
from cluster.pin import EVERYWHERE, GrantAsk
from cluster.pinset.tables.packed_pins import PackedPins
from node.http.app_key import PARTS
from node.http.errors import EXPECTED, BadRequest
from node.http.go import query_values
from node.http.go.query_values import Query
from node.http.rest.bulk.line_answers import LineOutcome
from node.http.rest.bulk.line_stream import stream_lines
from node.http.rest.bulk.line_work import LineWork
from node.http.rest.bulk.routes import granted
from node.http.rest.json_stream import sent
from node.http.rest.state.pin_text import state_lines
from node.http.rest.state.staged_pages import StagedPages, staged_pages
from node.http.rest.state.state_lines import OtherFormat, StateLines
from node.http.trailers import TrailerResponse
from node.parts import Parts

TOTAL = "X-Total-Count"
"""The header that says how many pins an export has."""

_HEADERS = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-cache"}
_MAX_FACTOR = 1024


async def export_state(request: web.Request) -> web.StreamResponse:
    """Every pin of one moment: rows are staged first, so that a slow client holds up no other work."""
    parts = request.app[PARTS]
    with staged_pages(parts.staging) as staged:
        async with background(_stage(parts, staged)):
            response = TrailerResponse(headers={**_HEADERS, TOTAL: str(await staged.total())})
            await response.prepare(request)
            async with aclosing(_lines(staged)) as lines:
                response.trailers = await sent(response, lines)
    await response.write_eof()
    return response


async def import_state(request: web.Request) -> web.StreamResponse:
    """Each line is pinned as the file has it; with `dry-run` it is only told what would come of it."""
    query, cluster = request.query, request.app[PARTS].cluster
    low, high = _factor(query, "replication-min"), _factor(query, "replication-max")
    lines = StateLines(cluster.members.peers(), low, high)
    act = cluster.plan_many if query_values.boolean(query, "dry-run") else cluster.grant_many

    async def apply(asks: Sequence[GrantAsk]) -> Sequence[LineOutcome]:
        return granted(asks, await act(asks))

    return await stream_lines(request, LineWork(lines.parse, apply, (OtherFormat,)))


async def _stage(parts: Parts, staged: StagedPages) -> None:
    try:
        async with parts.pinset.state() as state:
            staged.announce(await state.count())
            async for page in state.pages():
                await staged.append(page.pack())
    except EXPECTED as error:
        staged.end(error)
    else:
        staged.end()


async def _lines(staged: StagedPages) -> AsyncGenerator[bytes]:
    """Errors of single rows come at the end."""
    odd: list[BadUpdate] = []
    async with aclosing(staged.pages()) as pages:
        async for page in pages:
            for lines in state_lines(PackedPins.unpack(page).rows(), odd):
                yield lines
                await asyncio.sleep(0)  # writing waits only for a client that is slow
    for error in odd:
        raise error


def _factor(query: Query, name: str) -> int:
    factor = query_values.integer(query, name)
    if not EVERYWHERE <= factor <= _MAX_FACTOR:
        raise BadRequest(f"parameter {name} invalid")
    return factor
