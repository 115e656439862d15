"""Pieces of an answer on their way to a client: at its pace, and counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from blockstore.common.throttle import Throttle
from node.http.app_key import PARTS
from node.http.limits.admission import ClientUsage

Write = Callable[[bytes | memoryview], Awaitable[None]]


class Sent:
    """Bytes of a streamed body that were written so far."""

    def __init__(self) -> None:
        self.bytes = 0


CLIENT = web.RequestKey("client", ClientUsage)
"""Of a request whose bytes are paced; else not there."""
SENT = web.RequestKey("sent", Sent)
"""Of a request whose bytes are counted; else not there."""

_PART = 16 * 1024  # bytes of a paced answer that are written at once


def writer(request: web.Request, response: web.StreamResponse) -> Write:
    """What sends a piece of the response, as fast as the client may have it."""
    write: Write = partial(_write_throttled, response.write, request.app[PARTS].bandwidth.gateway.up)
    if (sent := request.get(SENT)) is not None:
        write = partial(_write_counted, write, sent)
    client = request.get(CLIENT)
    return write if client is None else partial(_write_paced, write, client)


async def _write_throttled(write: Write, up: Throttle, piece: bytes | memoryview) -> None:
    """As fast as all clients together may be sent something."""
    view, start = memoryview(piece), 0
    async for size in up.slices(len(piece)):
        await write(view[start : start + size] if size < len(piece) else piece)
        start += size


async def _write_counted(write: Write, sent: Sent, piece: bytes | memoryview) -> None:
    sent.bytes += len(piece)
    await write(piece)


async def _write_paced(write: Write, client: ClientUsage, piece: bytes | memoryview) -> None:
    """In small parts: a client at a slow pace is to see that something comes."""
    view = memoryview(piece)
    for start in range(0, len(piece), _PART):
        part = view[start : start + _PART]
        await paced(client, len(part))
        await write(part)


async def paced(client: ClientUsage, size: int) -> None:
    """Wait until the client may have so many bytes more."""
    if client.pace and (wait := client.pace.owe(size, time.monotonic())):
        await asyncio.sleep(wait)
