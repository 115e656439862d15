"""From a TCP connection to authenticated streams: private network, Noise, yamux; each bounded in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from node.p2p.guarded_task import within
from node.p2p.transport import negotiation, noise
from node.p2p.transport.byte_stream import ByteSession, ByteStream, TcpByteStream
from node.p2p.transport.memory_budget import MemoryBudget
from node.p2p.transport.noise import Noise
from node.p2p.transport.psk import PskByteStream
from node.p2p.transport.py_libp2p_adapters import StockYamux
from node.p2p.transport.yamux import frames
from node.p2p.transport.yamux.session import Yamux

FIRST_WORD = 5.0  # seconds until the other end has spoken at all


class Pipe(ByteStream, Protocol):
    """One stream of a connection."""

    async def read_exactly(self, n: int) -> bytes:
        """Raises StreamLost."""
        ...

    async def wait_for(self, n: int) -> None:
        """Until n bytes, 256 KiB at most, can be read at once, or the stream has ended. Raises StreamLost."""
        ...

    @property
    def unread(self) -> int:
        """Bytes that came and were not read yet, as far as known."""
        ...

    async def reset(self) -> None:
        """End both directions at once; never raises what the network can cause."""
        ...


class Muxer(Protocol):
    """The streams of one connection."""

    @property
    def lost(self) -> str:
        """Why the connection ended; empty while it lives."""
        ...

    async def run(self) -> None: ...

    async def open_stream(self) -> Pipe: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Security:
    """How the connections of one host are made."""

    noise: Noise
    psk: bytes | None
    fast_yamux: bool
    memory: MemoryBudget = field(default_factory=MemoryBudget)  # for what all of them hold unread


class Connection:
    """An authenticated connection to one peer."""

    def __init__(self, peer: str, dialled: bool, tcp: TcpByteStream, muxer: Muxer) -> None:
        self.peer = peer
        self.dialled = dialled
        self.tcp = tcp
        self.muxer = muxer
        self.doubted = trio.Event()  # set: there is reason to ask at once whether the peer still lives

    @property
    def remote(self) -> str:
        """Where the other end is, as a multiaddress without `/p2p/`."""
        host, port = self.tcp.remote[0].partition("%")[0], self.tcp.remote[1]  # without an IPv6 zone
        return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"

    def __repr__(self) -> str:
        return f"Connection({'to' if self.dialled else 'from'} {self.peer} at {self.remote})"


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream with a protocol agreed on."""

    peer: str
    protocol: str
    pipe: Pipe
    connection: Connection


async def upgrade(
    tcp: TcpByteStream,
    security: Security,
    peer: str | None,
    on_stream: Callable[[Connection, Pipe], None],
    on_spoken: Callable[[], None] = lambda: None,
) -> Connection:
    """Make a connection of a TCP one: as dialler of `peer`, or as listener when that is None.

    `on_stream` is called for each stream the peer opens, once the muxer runs; `on_spoken` once the other end
    has shown that it knows the protocol, and the network's key. Raises NetworkError; the TCP connection is
    the caller's to close then.
    """
    pipe: ByteStream = tcp if security.psk is None else PskByteStream(tcp, security.psk)
    async with within(FIRST_WORD, "the first word"):
        await _agree(pipe, noise.PROTOCOL, dialled=peer is not None)
    on_spoken()
    session = await security.noise.secure(pipe, peer)
    await _agree(session, frames.PROTOCOL, dialled=peer is not None)
    muxer = _muxer(session, security, lambda pipe: on_stream(connection, pipe))
    connection = Connection(str(session.get_remote_peer()), peer is not None, tcp, muxer)
    return connection


def _muxer(session: ByteSession, security: Security, on_stream: Callable[[Pipe], None]) -> Muxer:
    if security.fast_yamux:
        return Yamux(session, session.is_initiator, on_stream, security.memory)
    return StockYamux(session, on_stream)


async def _agree(pipe: ByteStream, protocol: str, *, dialled: bool) -> None:
    await (negotiation.ask(pipe, [protocol]) if dialled else negotiation.answer(pipe, [protocol]))


async def close(connection: Connection) -> None:
    """Close within a moment, whatever the other end does."""
    with trio.CancelScope(shield=True), trio.move_on_after(1):
        await connection.muxer.close()
    await connection.tcp.close()
