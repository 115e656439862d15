"""Newline-delimited JSON as ipfs-cluster streams it (reference: its REST API, streaming responses).

Nothing is sent before the first item, so that an empty stream can be a 204 and an early error a plain error.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from node.http.errors import EXPECTED, text_of
from node.http.go import gojson
from node.http.trailers import STREAM_ERROR, TrailerResponse

_FLUSH_BYTES = 64 * 1024
_FLUSH_SECONDS = 0.5  # so that who watches a slow stream sees that it moves
_JSON = {"Content-Type": "application/json"}


async def stream_json(request: web.Request, items: AsyncGenerator[gojson.Json]) -> web.StreamResponse:
    """200 with a line an item, 204 without any; an error after the first item goes to the trailer.

    An error before the first item is raised, for the face to answer.
    """
    return await stream_lines(request, _gathered(items))


async def stream_lines(request: web.Request, pieces: AsyncGenerator[bytes]) -> web.StreamResponse:
    """As `stream_json`, of lines that are made already; each piece is sent at once."""
    async with aclosing(pieces):
        try:
            first = await anext(pieces)
        except StopAsyncIteration:
            return empty_stream()
        response = TrailerResponse(headers=_JSON)
        await response.prepare(request)
        await response.write(first)
        response.trailers = await sent(response, pieces)
    await response.write_eof()
    return response


def empty_stream() -> web.Response:
    """As upstream, with the trailer announced that an empty answer cannot have."""
    return web.Response(status=204, headers={**_JSON, "Trailer": STREAM_ERROR})


async def sent(response: web.StreamResponse, pieces: AsyncGenerator[bytes]) -> tuple[str, ...]:
    """Write them. What the trailer holds: one empty value; after an error, that and its message."""
    try:
        async for piece in pieces:
            await response.write(piece)
    except EXPECTED as error:
        return "", text_of(error)
    return ("",)


async def _gathered(items: AsyncGenerator[gojson.Json]) -> AsyncGenerator[bytes]:
    """The first line at once, the others some kilobytes at a time, or when the last are a while ago."""
    gathered: list[bytes] = []
    size, sent_at = 0, -math.inf
    async with aclosing(items):
        try:
            async for item in items:
                gathered.append(line := gojson.encode(item))
                size += len(line)
                if size >= _FLUSH_BYTES or time.monotonic() >= sent_at + _FLUSH_SECONDS:
                    yield b"".join(gathered)
                    gathered, size, sent_at = [], 0, time.monotonic()
        except EXPECTED:
            if gathered:
                yield b"".join(gathered)
            raise
    if gathered:
        yield b"".join(gathered)
