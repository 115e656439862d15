"""py-libp2p's own Noise session and yamux behind our interfaces: the path to fall back to.

Slower by some factor, chosen by `fast_noise` and `fast_yamux` of the network's settings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import trio
from cryptography.exceptions import InvalidTag
from libp2p.abc import IMuxedStream, ISecureConn
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamEOF
from libp2p.stream_muxer.yamux.yamux import Yamux

from node.p2p.errors import ConnectionLost, NetworkError, StreamLost
from node.p2p.transport.byte_stream import ByteSession, read_exactly

_LARGEST_READ = 65536


class StockSession:
    """A Noise session of py-libp2p."""

    def __init__(self, secured: ISecureConn) -> None:
        self._secured = secured
        self.is_initiator = bool(secured.is_initiator)

    def get_remote_peer(self) -> ID:
        return self._secured.get_remote_peer()

    def get_remote_address(self) -> tuple[str, int] | None:
        return self._secured.get_remote_address()

    async def read(self, n: int | None = None) -> bytes:
        async with _as_ours(ConnectionLost):
            return await self._secured.read(n)

    async def write(self, data: bytes) -> None:
        async with _as_ours(ConnectionLost):
            await self._secured.write(data)

    async def close(self) -> None:
        await self._secured.close()


class StockStream:
    """A stream of py-libp2p's muxer."""

    def __init__(self, stream: IMuxedStream) -> None:
        self._stream = stream

    async def read(self, n: int | None = None) -> bytes:
        async with _as_ours(StreamLost):
            try:
                return await self._stream.read(n or _LARGEST_READ)
            except MuxedStreamEOF:
                return b""

    unread = 1  # it does not say: never idle

    async def wait_for(self, n: int) -> None:
        """No-op: the library cannot wait without reading; the next read waits."""

    async def read_exactly(self, n: int) -> bytes:
        return await read_exactly(self, n)

    async def write(self, data: bytes) -> None:
        async with _as_ours(StreamLost):
            await self._stream.write(bytes(data))

    async def close(self) -> None:
        async with _as_ours(StreamLost):
            await self._stream.close()

    async def reset(self) -> None:
        try:
            async with _as_ours(StreamLost):
                await self._stream.reset()
        except NetworkError:
            return  # gone is gone


class StockYamux:
    """A connection of py-libp2p's muxer."""

    def __init__(self, session: ByteSession, on_stream: Callable[[StockStream], None]) -> None:
        secured = cast("ISecureConn", session)  # read, write, close and is_initiator are all it uses
        self._yamux = Yamux(secured, session.get_remote_peer(), is_initiator=session.is_initiator)
        self._on_stream = on_stream
        self.lost = ""

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._yamux.start)
                try:
                    while True:
                        self._on_stream(StockStream(await self._yamux.accept_stream()))
                except MuxedConnUnavailable:
                    nursery.cancel_scope.cancel()
        finally:
            self.lost = self.lost or "the connection is gone"

    async def open_stream(self) -> StockStream:
        if self.lost:
            raise ConnectionLost(self.lost)
        async with _as_ours(StreamLost):
            await self._yamux.event_started.wait()
            return StockStream(await self._yamux.open_stream())

    async def close(self) -> None:
        self.lost = self.lost or "this side closed the connection"
        await self._yamux.close()


@asynccontextmanager
async def _as_ours(kind: type[NetworkError]) -> AsyncIterator[None]:
    try:
        yield
    except (BaseLibp2pError, InvalidTag) as error:
        raise kind(str(error) or type(error).__name__) from error
