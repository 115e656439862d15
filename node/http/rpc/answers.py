"""Answers in Kubo's forms: one object, a stream of objects, a stream of bytes; late errors in the trailer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import parse_qsl

from aiohttp import web

from node.http.errors import EXPECTED, BadRequest, text_of
from node.http.go import gojson
from node.http.go.durations import parse_duration
from node.http.go.gojson import Json
from node.http.trailers import TrailerResponse
from node.version import VERSION

LIMIT = web.RequestKey("limit", asyncio.Timeout)
"""The time that the client gives, as long as nothing was answered."""

_EXPOSED = "X-Stream-Output, X-Chunked-Output, X-Content-Length"
HEADERS = {
    "Access-Control-Allow-Headers": _EXPOSED,
    "Access-Control-Expose-Headers": _EXPOSED,
    "Server": f"pinfold/{VERSION}",
    "Vary": "Origin",
}


def argument(request: web.Request) -> str:
    """The one `arg`. Raises BadRequest."""
    found = arguments(request)
    if found == [""]:
        raise BadRequest('"arg" is empty: it takes a CID, a path or a name')
    if len(found) != 1:
        raise BadRequest(f'expected 1 "arg", got {len(found)}')
    return found[0]


def arguments(request: web.Request) -> list[str]:
    """Every `arg`, in order. Names in paths are bytes, kept as Python keeps those that are no UTF-8."""
    query = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True, errors="surrogateescape")
    return [value for name, value in query if name == "arg"]


def time_limit(request: web.Request) -> float | None:
    """Seconds that the client gives until the end of the answer (`timeout`). Raises BadRequest."""
    if not (text := request.query.get("timeout", "")):
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadRequest(f"parameter timeout invalid: {error}") from None
    if seconds < 0:
        raise BadRequest("parameter timeout invalid: it is over before it begins")
    return seconds or None


def one(value: Json) -> web.Response:
    headers = {**HEADERS, "Content-Type": "application/json"}
    return web.Response(body=gojson.encode(value), headers=headers)


async def objects(request: web.Request, values: AsyncGenerator[Json]) -> web.StreamResponse:
    """A line an object."""

    async def lines() -> AsyncGenerator[bytes]:
        async with aclosing(values):
            async for value in values:
                yield gojson.encode(value)

    return await _stream(request, lines(), {"Content-Type": "application/json", "X-Chunked-Output": "1"})


async def octets(
    request: web.Request, pieces: AsyncGenerator[bytes], content_type: str, size: int | None = None
) -> web.StreamResponse:
    """Bytes as they come; `size` where it is known before."""
    headers = {"Content-Type": content_type, "X-Stream-Output": "1"}
    if size is not None:
        headers["X-Content-Length"] = str(size)
    return await _stream(request, pieces, headers)


async def _stream(
    request: web.Request, pieces: AsyncGenerator[bytes], headers: dict[str, str]
) -> web.StreamResponse:
    """An error before the first piece is raised, for the caller to answer; a later one is the trailer."""
    response = TrailerResponse(headers={**HEADERS, **headers})
    if not request.content.at_eof():
        response.force_close()  # the answer may begin before the upload has ended
    async with aclosing(pieces):
        first = await anext(pieces, b"")
        until = request[LIMIT].when()
        request[LIMIT].reschedule(None)  # from here on the trailer says
        await response.prepare(request)
        try:
            async with asyncio.timeout_at(until):
                await response.write(first)
                async for piece in pieces:
                    await response.write(piece)
        except EXPECTED as error:
            response.trailers = (text_of(error),)
    await response.write_eof()
    return response
