"""GET /v1/audit: who changed what, newest last; with `follow=true` each record as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict

from aiohttp import web

from node.audit.audit_query import AuditQuery
from node.audit.record import AuditRecord
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import gojson, query_values
from node.http.go.durations import parse_time
from node.http.go.query_values import Query
from node.http.rest.json_stream import empty_stream, sent, stream_lines
from node.http.trailers import TrailerResponse

_LIMIT, _MOST = 100, 10_000
_LINES_AT_ONCE = 500


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/audit", records, allow_head=False)
    app.on_shutdown.append(_end)


async def _end(app: web.Application) -> None:
    app[PARTS].audit.end_followers()


async def records(request: web.Request) -> web.StreamResponse:
    """A line a record; 204 where none fits."""
    query, limit = _query(request.query), query_values.integer(request.query, "limit", _LIMIT)
    if not 0 <= limit <= _MOST:
        raise BadRequest(f"parameter limit invalid: 0 to {_MOST}")
    log = request.app[PARTS].audit
    if query_values.boolean(request.query, "follow"):
        return await _followed(request, query, limit)
    found = await asyncio.to_thread(log.newest, query, limit)
    return await stream_lines(request, _lines(found)) if found else empty_stream()


async def _lines(found: list[AuditRecord]) -> AsyncGenerator[bytes]:
    for start in range(0, len(found), _LINES_AT_ONCE):
        yield b"".join(map(_line, found[start : start + _LINES_AT_ONCE]))


async def _followed(request: web.Request, query: AuditQuery, limit: int) -> web.StreamResponse:
    """The answer begins at once: who follows a quiet log is to know that it is heard."""
    response = TrailerResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-cache"})
    with request.app[PARTS].audit.following(query, limit) as records:
        async with aclosing(records):
            await response.prepare(request)
            response.trailers = await sent(response, (_line(record) async for record in records))
    await response.write_eof()
    return response


def _line(record: AuditRecord) -> bytes:
    return gojson.encode(asdict(record) | {"time": gojson.time(record.time)})


def _query(query: Query) -> AuditQuery:
    """A CID in whatever base it is written. Raises BadRequest."""
    return AuditQuery(
        name=query.get("name", ""),
        owner=query.get("owner", ""),
        cid=str(query_values.cid(query["cid"])) if query.get("cid") else "",
        method=query.get("method", "").upper(),
        refused=query_values.boolean(query, "refused"),
        since=_since(query.get("since", "")),
    )


def _since(text: str) -> float:
    try:
        return parse_time(text) if text else 0.0
    except ValueError as error:
        raise BadRequest(f"parameter since invalid: {error}") from None
