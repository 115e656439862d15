"""Notices peers that are gone without a word (unplugged, stopped, asleep), which TCP alone does not.

Anything heard is a sign of life. After a silence the peer is asked for one by a ping (/ipfs/ping/1.0.0);
a peer that does not speak ping answers with that, which is a sign of life too.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence

import trio

from node.p2p.errors import ProtocolViolation
from node.p2p.guarded_task import guarded, within
from node.p2p.transport.connection import Connection, Stream

PROTOCOL = "/ipfs/ping/1.0.0"
_SIZE = 32
_PING_SECONDS = 10.0  # for one that has begun, and for our answer to be taken

OpenStream = Callable[[Connection, Sequence[str]], Awaitable[Stream]]


async def answer(stream: Stream) -> None:
    """Serve pings until the peer has had enough."""
    while first := await stream.pipe.read(_SIZE):
        async with within(_PING_SECONDS, "a ping"):
            rest = await stream.pipe.read_exactly(_SIZE - len(first)) if len(first) < _SIZE else b""
            await stream.pipe.write(first + rest)


async def ping(stream: Stream) -> float:
    """One round trip, in seconds. Raises NetworkError."""
    sent, data = trio.current_time(), os.urandom(_SIZE)
    await stream.pipe.write(data)
    if await stream.pipe.read_exactly(_SIZE) != data:
        raise ProtocolViolation("the answer to a ping is not what was sent")
    return trio.current_time() - sent


async def watch(connection: Connection, open_stream: OpenStream, interval: float, timeout: float) -> None:
    """Return once the peer has been silent for `interval` and then, asked, for `timeout` seconds more."""
    probe = _Probe(connection, open_stream)
    while True:
        silent_since = connection.tcp.heard
        with trio.move_on_at(silent_since + interval):
            await connection.doubted.wait()
        asked_now = connection.doubted.is_set()
        connection.doubted = trio.Event()
        if connection.tcp.heard != silent_since and not asked_now:
            continue
        asked, heard = trio.current_time(), connection.tcp.heard
        with trio.move_on_after(timeout):
            await guarded(f"ping {connection.peer}", probe.send)
        if connection.tcp.heard == heard:
            await trio.sleep_until(asked + timeout)
        if connection.tcp.heard == heard:
            return


class _Probe:
    """Pings on one stream, kept open."""

    def __init__(self, connection: Connection, open_stream: OpenStream) -> None:
        self._connection = connection
        self._open_stream = open_stream
        self._stream: Stream | None = None

    async def send(self) -> None:
        stream, self._stream = self._stream, None
        stream = stream or await self._open_stream(self._connection, [PROTOCOL])
        try:
            await ping(stream)
        except BaseException:
            await stream.pipe.reset()
            raise
        self._stream = stream
