"""Two connected peers of each kind of network, for the suites in tests/contracts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Generic, Protocol, TypeVar

from bitswap.network import MessageNetwork, PeerHandler
from blockstore.common.guard import Guard
from cluster.ports import Gossip, PeerCalls
from node.datadir.identity import Identity
from node.p2p.admission.gate import MembersGate
from node.p2p.members_network import MembersNetwork
from node.p2p.network import Libp2pNetwork, open_network
from node.p2p.portal import open_portal
from support import cluster_network, sim_network
from support.memory_network import MemoryNetwork
from support.p2p_networks import SETTINGS

STRANGER = Identity.generate().peer_id
NOWHERE = f"/ip4/127.0.0.1/tcp/1/p2p/{STRANGER}"
"""Where no peer listens."""


class ConnectedNetwork(Protocol):
    """What every kind of network tells of its peers."""

    def peers(self) -> frozenset[str]: ...

    def on_peer_change(self, handler: PeerHandler) -> None: ...


class GossipNetwork(Gossip, PeerCalls, Protocol):
    """Gossip over connections of which one can hear."""


N = TypeVar("N", bound=ConnectedNetwork)
Seen = TypeVar("Seen", bound=ConnectedNetwork, covariant=True)


@dataclass(frozen=True)
class End(Generic[Seen]):
    """One peer: its id, its network, and what counts the failures of its handlers."""

    peer: str
    network: Seen
    guard: Guard


@dataclass(frozen=True)
class Pair(Generic[Seen]):
    """`cut` hangs up, `link` connects; `part` and `join` return when both ends know."""

    a: End[Seen]
    b: End[Seen]
    cut: Callable[[], Awaitable[object]]
    link: Callable[[], Awaitable[object]]

    async def part(self) -> None:
        await self.cut()
        await self._until(False)

    async def join(self) -> None:
        await self.link()
        await self._until(True)

    async def _until(self, connected: bool) -> None:
        for one, other in ((self.a, self.b), (self.b, self.a)):
            await until_peer(one.network, other.peer, connected)


Opener = Callable[[], AbstractAsyncContextManager[Pair[N]]]


async def until_peer(network: ConnectedNetwork, peer: str, connected: bool) -> None:
    changed = asyncio.Event()
    network.on_peer_change(lambda _peer, _connected: changed.set())
    async with asyncio.timeout(60):
        while (peer in network.peers()) != connected:
            changed.clear()
            await changed.wait()


@asynccontextmanager
async def libp2p() -> AsyncIterator[Pair[Libp2pNetwork]]:
    """Real sockets on loopback; everybody may speak."""
    async with _two_of_libp2p() as (a, b):
        yield await _joined(Pair(a, b, lambda: a.network.disconnect(b.peer), lambda: _dial(a, b)))


@asynccontextmanager
async def gated() -> AsyncIterator[Pair[MembersNetwork]]:
    """The same, as those see it that work with members only; both are members."""
    async with AsyncExitStack() as stack:
        portal = await stack.enter_async_context(open_portal())
        identities = Identity.generate(), Identity.generate()
        ends: list[End[MembersNetwork]] = []
        for identity in identities:
            guard, gate = Guard(), MembersGate(identity.peer_id)
            gate.admit(one.peer_id for one in identities)
            network = await stack.enter_async_context(
                open_network(portal, identity, replace(SETTINGS, gossip=True), guard, gate)
            )
            ends.append(End(identity.peer_id, MembersNetwork(network, gate), guard))
        a, b = ends
        dial = b.network.addresses(b.peer)[0]
        yield await _joined(Pair(a, b, lambda: a.network.disconnect(b.peer), lambda: a.network.connect(dial)))


@asynccontextmanager
async def in_memory() -> AsyncIterator[Pair[GossipNetwork]]:
    """Two of a memory cluster."""
    network = MemoryNetwork()
    a, b = (network.port(name) for name in ("a", "b"))
    network.set_up("a", True)

    async def set_up(up: bool) -> None:
        network.set_up("b", up)

    ends = End[GossipNetwork](a.peer, a, network.guard), End[GossipNetwork](b.peer, b, network.guard)
    try:
        yield await _joined(Pair(*ends, lambda: set_up(False), lambda: set_up(True)))
    finally:
        a.close()
        b.close()


@asynccontextmanager
async def simulated() -> AsyncIterator[Pair[GossipNetwork]]:
    """Two on the network that loses, delays and cuts; here it loses nothing."""
    network = cluster_network.SimNetwork(Random(1), delay=0.002)
    a, b = (network.attach(name) for name in ("a", "b"))

    async def part(*groups: list[str]) -> None:
        network.part(*groups)

    ends = End[GossipNetwork](a.name, a, network.guard), End[GossipNetwork](b.name, b, network.guard)
    try:
        yield await _joined(Pair(*ends, lambda: part(["a"], ["b"]), part))
    finally:
        for name in ("a", "b"):
            network.detach(name)


@asynccontextmanager
async def simulated_messages() -> AsyncIterator[Pair[MessageNetwork]]:
    """Two on the network of Bitswap's tests."""
    async with sim_network.open_sim() as network:
        a, b = network.node("a"), network.node("b")

        async def connect() -> None:
            network.connect("a", "b")

        ends = End[MessageNetwork]("a", a, Guard()), End[MessageNetwork]("b", b, Guard())
        yield await _joined(Pair(*ends, lambda: a.disconnect("b"), connect))


@asynccontextmanager
async def _two_of_libp2p() -> AsyncIterator[list[End[Libp2pNetwork]]]:
    async with AsyncExitStack() as stack:
        portal = await stack.enter_async_context(open_portal())
        ends = []
        for _ in range(2):
            identity, guard = Identity.generate(), Guard()
            network = await stack.enter_async_context(
                open_network(portal, identity, replace(SETTINGS, gossip=True), guard)
            )
            ends.append(End(identity.peer_id, network, guard))
        yield ends


async def _dial(a: End[Libp2pNetwork], b: End[Libp2pNetwork]) -> str:
    return await a.network.connect(b.network.addresses()[0])


async def _joined(pair: Pair[N]) -> Pair[N]:
    await pair.join()
    return pair
