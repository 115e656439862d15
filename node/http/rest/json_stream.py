"""Newline-delimited JSON as ipfs-cluster streams it (reference: its REST API, streaming responses).

Nothing is sent before the first item, so that an empty stream can be a 204 and an early error a plain error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from node.http.errors import EXPECTED, text_of
from node.http.go import gojson
from node.http.trailers import TrailerResponse

_FLUSH_BYTES = 64 * 1024
_JSON = {"Content-Type": "application/json"}


async def stream_json(request: web.Request, items: AsyncGenerator[gojson.Json]) -> web.StreamResponse:
    """200 with a line an item, 204 without any; an error after the first item goes to the trailer.

    An error before the first item is raised, for the face to answer.
    """
    async with aclosing(items):
        try:
            first = await anext(items)
        except StopAsyncIteration:
            return web.Response(status=204, headers=_JSON)
        response = TrailerResponse(headers=_JSON)
        await response.prepare(request)
        response.trailers = await _send(response, first, items)
    await response.write_eof()
    return response


async def _send(
    response: web.StreamResponse, first: gojson.Json, items: AsyncGenerator[gojson.Json]
) -> tuple[str, ...]:
    """The values of the trailer: one empty on success, an empty one and the message on a late error."""
    await response.write(gojson.encode(first))
    gathered: list[bytes] = []
    size = 0
    try:
        async for item in items:
            gathered.append(line := gojson.encode(item))
            size += len(line)
            if size >= _FLUSH_BYTES:
                await response.write(b"".join(gathered))
                gathered, size = [], 0
    except EXPECTED as error:
        await response.write(b"".join(gathered))
        return "", text_of(error)
    if gathered:
        await response.write(b"".join(gathered))
    return ("",)
