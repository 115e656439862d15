"""A network of members in memory, which can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from blockstore.common.guard import Guard
from cluster.ports import (
    CallHandler,
    GossipHandler,
    GossipMessage,
    PeerOffline,
    check_gossip,
    check_request,
)
from support.call_methods import Methods, within
from support.gossip_topics import Topics


class MemoryNetwork:
    """Who can talk to whom: all peers that are up, and on the same island where there are several."""

    def __init__(self, guard: Guard | None = None) -> None:
        self.guard = guard or Guard()
        self.up: set[str] = set()
        self.ports: dict[str, Port] = {}
        self.islands: dict[str, int] = {}

    def reached(self, peer: str) -> frozenset[str]:
        """Those that this peer can talk to now."""
        if peer not in self.up:
            return frozenset()
        here = self.islands.get(peer, 0)
        return frozenset(other for other in self.up if other != peer and self.islands.get(other, 0) == here)

    def part(self, islands: Mapping[str, int]) -> None:
        """Cut the network in parts, or, with none, make it whole; all hear whom they lose and find."""
        before = {peer: self.reached(peer) for peer in self.ports}
        self.islands = dict(islands)
        for peer, port in self.ports.items():
            for other in sorted(before[peer] ^ self.reached(peer)):
                port.tell(other, other not in before[peer])

    def port(self, peer: str) -> Port:
        self.ports[peer] = Port(self, peer)
        return self.ports[peer]

    def set_up(self, peer: str, up: bool) -> None:
        """Connect that peer to all that are up, or cut it off; both sides hear of it."""
        if (peer in self.up) == up:
            return
        others = self.reached(peer)
        (self.up.add if up else self.up.discard)(peer)
        for other in (self.ports[other] for other in sorted(others | self.reached(peer))):
            other.tell(peer, up)
            self.ports[peer].tell(other.peer, up)

    async def heard(self) -> None:
        """Wait until what was published so far is handled."""
        for port in self.ports.values():
            await port.topics.handled()


class Port:
    """One member's Gossip and PeerCalls."""

    def __init__(self, network: MemoryNetwork, peer: str) -> None:
        self._network = network
        self.peer = peer
        self.methods = Methods()
        self.topics = Topics(network.guard)
        self.called: list[tuple[str, str]] = []
        self._peer_handlers: list[Callable[[str, bool], None]] = []

    async def publish(self, topic: str, message: bytes) -> None:
        check_gossip(message)
        for peer in sorted(self.peers()):
            self._network.ports[peer].topics.deliver(topic, GossipMessage(self.peer, self.peer, message))

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        self.topics.subscribe(topic, handler)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        check_request(method, request)
        self.called.append((peer, method))
        async with within(timeout, peer):
            await asyncio.sleep(0.01)
            if peer not in self.peers():
                raise PeerOffline(f"{peer} cannot be reached")
            return await self._network.ports[peer].methods.answer(self.peer, method, request)

    def serve(self, method: str, handler: CallHandler) -> None:
        self.methods.serve(method, handler)

    def peers(self) -> frozenset[str]:
        return self._network.reached(self.peer)

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None:
        self._peer_handlers.append(handler)

    def tell(self, peer: str, connected: bool) -> None:
        for handler in self._peer_handlers:
            handler(peer, connected)

    def close(self) -> None:
        """The process that served and listened has ended."""
        self.methods.close()
        self.topics.close()
        self._peer_handlers.clear()

    def addresses(self, peer: str) -> Sequence[str]:
        return (f"/ip4/127.0.0.1/tcp/9096/p2p/{peer}",)

    async def connect(self, address: str) -> str:
        peer = address.rpartition("/")[2]
        if peer not in self._network.up:
            raise PeerOffline(f"{address} does not answer")
        return peer
