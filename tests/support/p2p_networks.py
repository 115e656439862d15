"""Networks on loopback for tests, and a stranger that may send anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import trio

from cluster.ports import GossipMessage
from node.datadir.identity import Identity
from node.p2p.network import Libp2pNetwork, NetworkSettings, open_network
from node.p2p.portal import Portal, open_portal
from node.p2p.transport.byte_stream import TcpByteStream
from node.p2p.transport.connection import Connection, Pipe, Security, upgrade
from node.p2p.transport.noise import Noise

T = TypeVar("T")
LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
SETTINGS = NetworkSettings("test", LOOPBACK)


@asynccontextmanager
async def networks(
    count: int, settings: NetworkSettings = SETTINGS
) -> AsyncIterator[tuple[Portal, list[Libp2pNetwork]]]:
    """That many networks behind one portal, not yet connected."""
    async with AsyncExitStack() as stack:
        portal = await stack.enter_async_context(open_portal())
        made = [
            await stack.enter_async_context(
                open_network(portal, Identity.generate(), replace(settings, name=f"test {n}"))
            )
            for n in range(count)
        ]
        yield portal, made


class Collector:
    """A message handler that keeps what comes and lets tests wait for it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.peers: list[str] = []
        self.forwarders: list[str] = []
        self._came = asyncio.Event()

    async def __call__(self, peer: str, _protocol: str, message: bytes) -> None:
        self.add(peer, message)

    async def gossip(self, message: GossipMessage) -> None:
        self.forwarders.append(message.forwarder)
        self.add(message.author, message.data)

    def add(self, peer: str, message: bytes) -> None:
        self.messages.append(message)
        self.peers.append(peer)
        self._came.set()

    async def wait(self, count: int) -> list[bytes]:
        while len(self.messages) < count:
            self._came.clear()
            await self._came.wait()
        return self.messages


async def until_peer(network: Libp2pNetwork, peer: str, connected: bool = True) -> None:
    """Wait until that peer is connected, or is not; the test's timeout ends what never comes."""
    changed = asyncio.Event()
    network.on_peer_change(lambda _peer, _connected: changed.set())
    while (peer in network.peers()) != connected:
        changed.clear()
        await changed.wait()


async def as_stranger(
    portal: Portal, address: str, act: Callable[[Connection], Awaitable[T]], psk: bytes | None = None
) -> T:
    """Connect as a bare libp2p peer and do something with the connection, on the trio side."""

    async def run() -> T:
        with trio.fail_after(60):
            async with stranger(address, psk=psk) as connection:
                return await act(connection)

    return await portal.to_trio(run)


@asynccontextmanager
async def stranger(
    address: str, source: str = "127.0.0.1", psk: bytes | None = None
) -> AsyncIterator[Connection]:
    """A bare libp2p peer of a new id that dials from that source address; only on the trio side."""
    _, _, host, _, port, _, peer = address.split("/")
    async with await trio.open_tcp_stream(host, int(port), local_address=source) as stream:
        security = Security(Noise(Identity.generate()), psk, fast_yamux=True)
        connection = await upgrade(TcpByteStream(stream), security, peer, _ignore)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.muxer.run)
            yield connection
            nursery.cancel_scope.cancel()


def _ignore(_connection: Connection, _pipe: Pipe) -> None:
    """A stranger that does not care what is asked of it."""
