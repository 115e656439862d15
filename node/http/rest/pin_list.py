"""Listings of the pinset: /allocations as ipfs-cluster has it, and ours with filters, pages and counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from aiohttp import web

from blockstore.cid import CID
from blockstore.prefetch.one_ahead import one_ahead
from cluster.errors import BadUpdate
from cluster.interfaces import EVERY_PIN
from cluster.pin import Status
from cluster.pinset.tables.list_place import ListPlace
from node.http.app_key import PARTS
from node.http.go import gojson
from node.http.rest import status_filter, stored_lines
from node.http.rest.json_errors import json_response
from node.http.rest.json_stream import empty_stream, stream_lines
from node.http.rest.pin_filters import PinsAsked, pins_asked
from node.http.rest.stored_lines import Row
from node.parts import Parts

_AT_ONCE = 1000  # pins of one trip to the database
_TRIPS = 40  # for one page: each passes some thousand pins at most, then the page is given as it is

Page = tuple[Sequence[Row], str | None]
"""Rows, and the cursor behind them; None behind the last."""


async def allocations(request: web.Request) -> web.StreamResponse:
    """Every pin as stored."""
    if not status_filter.wants_pins(request.query.get("filter", "")):
        return empty_stream()
    pages = request.app[PARTS].pinset.listing.rows(EVERY_PIN)
    return await stream_lines(request, _lines((page.rows, None) async for page in pages))


async def list_pins(request: web.Request) -> web.StreamResponse:
    """Those that match: all of them, or with `limit` a page, and the cursor of the next in a last line."""
    asked = pins_asked(request.query, paging=True)
    pages = _pages(request.app[PARTS], asked)
    return await stream_lines(
        request, _lines(pages if asked.limit is None else _one_page(pages, asked.limit))
    )


async def count_pins(request: web.Request) -> web.Response:
    """How many match -> `{"count":…}`."""
    parts, asked = request.app[PARTS], pins_asked(request.query, paging=False)
    if asked.statuses is None:
        return json_response({"count": await parts.pinset.count(asked.query)})
    return json_response({"count": sum([len(rows) async for rows, _ in _pages(parts, asked)])})


async def _lines(pages: AsyncGenerator[Page]) -> AsyncGenerator[bytes]:
    """One page is read while lines are made of the one before. Errors of single rows come at the end."""
    odd: list[BadUpdate] = []
    cursor: str | None = None
    async with aclosing(one_ahead(pages)) as ahead:
        async for page in ahead:
            for piece in stored_lines.pieces(page[0], odd):
                yield piece
                await asyncio.sleep(0)
            cursor = page[1]
    if cursor is not None:
        yield gojson.encode({"cursor": cursor})
    for error in odd:
        raise error


async def _one_page(pages: AsyncGenerator[Page], limit: int) -> AsyncGenerator[Page]:
    """So many pins that `pages` together give; fewer where that takes long."""
    count, trips = 0, 0
    async with aclosing(pages):
        async for rows, cursor in pages:
            yield rows, cursor
            count, trips = count + len(rows), trips + 1
            if count >= limit or trips >= _TRIPS:
                return


async def _pages(parts: Parts, asked: PinsAsked) -> AsyncGenerator[Page]:
    """Each holds what is left of the limit at most. Raises BadCursor, NotReady."""
    cursor, left = asked.cursor, asked.limit
    while True:
        limit = _AT_ONCE if left is None else min(left, _AT_ONCE)
        rows, cursor = await _page(parts, asked, cursor, limit)
        yield rows, cursor
        left = None if left is None else left - len(rows)
        if cursor is None or left == 0:
            return


async def _page(parts: Parts, asked: PinsAsked, cursor: str | None, limit: int) -> Page:
    if asked.statuses is not None:
        return await _page_of_statuses(parts, asked, asked.statuses, cursor, limit)
    page = await parts.pinset.listing.row_page(asked.query, cursor, limit)
    return page.rows, page.place.cursor(asked.query) if page.place else None


async def _page_of_statuses(
    parts: Parts, asked: PinsAsked, statuses: frozenset[Status], cursor: str | None, limit: int
) -> Page:
    """The node's own statuses are listed by CID; the other conditions are asked of each pin."""
    after = CID.decode(ListPlace.read(cursor, asked.query).cid) if cursor else None
    found = await parts.cluster.tracking.page(statuses, after, limit)
    rows = await parts.pinset.listing.named([row.cid for row in found.rows], asked.query)
    if found.after is None:
        return rows, None
    return rows, ListPlace("status", None, bytes(found.after)).cursor(asked.query)
