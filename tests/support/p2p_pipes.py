"""Pipes in memory for the layers of a connection, on trio."""

from __future__ import annotations

import trio
import trio.testing

from node.p2p.errors import ConnectionLost


class MemoryBytes:
    """One end of a pipe that hands out at most `most` bytes a read."""

    def __init__(self, stream: trio.abc.Stream, most: int = 1 << 30) -> None:
        self._stream = stream
        self._most = most

    async def read(self, n: int | None = None) -> bytes:
        try:
            return bytes(await self._stream.receive_some(min(n or 1 << 30, self._most)))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost("the pipe broke") from error

    async def write(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost("the pipe broke") from error

    async def close(self) -> None:
        await self._stream.aclose()


def pipe_pair(most: int = 1 << 30) -> tuple[MemoryBytes, MemoryBytes]:
    """Two ends that see each other's bytes."""
    one, other = trio.testing.memory_stream_pair()
    return MemoryBytes(one, most), MemoryBytes(other, most)


class Recorder:
    """A pipe that only remembers what is written to it, and gives what it was given."""

    def __init__(self, incoming: bytes = b"") -> None:
        self.written = bytearray()
        self._incoming = bytearray(incoming)

    async def read(self, n: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        data = bytes(self._incoming[:n])
        del self._incoming[: len(data)]
        return data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.written += data

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
