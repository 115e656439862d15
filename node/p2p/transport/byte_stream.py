"""Bytes over a TCP socket, and reading exactly so many of them."""

from __future__ import annotations

import socket
from typing import Protocol

import trio
from libp2p.peer.id import ID

from node.p2p.errors import ConnectionLost


class ByteStream(Protocol):
    """A duplex pipe of bytes: the socket, or a layer over it. py-libp2p asks no more of a raw connection."""

    async def read(self, n: int | None = None) -> bytes:
        """Between 1 and n bytes (None: as many as come at once); empty at the end. Raises ConnectionLost."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises ConnectionLost. Cancelled half-way, the pipe is closed: what follows would be garbage."""
        ...

    async def close(self) -> None: ...


class ByteSession(ByteStream, Protocol):
    """A pipe whose other end has proved its key."""

    @property
    def is_initiator(self) -> bool:
        """Whether this side dialled."""
        ...

    def get_remote_peer(self) -> ID: ...


class TcpByteStream:
    """One TCP connection. `heard` is the trio time at which bytes last came in: the sign of life."""

    READ = 262144  # bytes a system call may return

    def __init__(self, stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._stream = stream
        self.heard = trio.current_time()
        self.remote: tuple[str, int] = stream.socket.getpeername()[:2]

    async def read(self, n: int | None = None) -> bytes:
        try:
            data = await self._stream.receive_some(self.READ if n is None else n)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost(f"connection to {self.remote[0]}:{self.remote[1]} broke") from error
        self.heard = trio.current_time()
        return bytes(data)

    async def write(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost(f"connection to {self.remote[0]}:{self.remote[1]} broke") from error
        except trio.Cancelled:
            self._stream.socket.close()
            raise

    async def close(self) -> None:
        self._stream.socket.close()  # at once: there is nothing to flush, and a dying peer must not hold us

    def get_remote_address(self) -> tuple[str, int]:
        """For py-libp2p's stock layers."""
        return self.remote


async def read_exactly(pipe: ByteStream, n: int) -> bytes:
    """n bytes. Raises ConnectionLost when the pipe ends before."""
    parts = bytearray()
    while len(parts) < n:
        data = await pipe.read(n - len(parts))
        if not data:
            raise ConnectionLost(f"ended {n - len(parts)} bytes too early")
        parts += data
    return bytes(parts)
