"""A network between members that loses, repeats, delays and cuts, in virtual time, from one seed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from random import Random

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


class SimNetwork:
    """Who can reach whom, and how badly. `loss` and `repeat` are odds, `delay` the longest one in seconds."""

    def __init__(
        self, random: Random, *, loss: float = 0.0, repeat: float = 0.0, delay: float = 0.05
    ) -> None:
        self.random = random
        self.loss = loss
        self.repeat = repeat
        self.delay = delay
        self.guard = Guard()
        self.peers: dict[str, SimPeer] = {}
        self._group: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.silent = False  # whether all gossip is lost
        self.carried = 0  # bytes of gossip published
        self.trace = hashlib.sha256()  # of all that was sent, and when

    def attach(self, name: str) -> SimPeer:
        """A fresh start of that peer: it reaches everybody in its part of the network."""
        self.peers[name] = peer = SimPeer(self, name)
        for other in self.peers.values():
            if other is not peer and self.linked(name, other.name):
                other.tell(name, True)
        return peer

    def detach(self, name: str) -> None:
        self.peers.pop(name).topics.close()
        for other in self.peers.values():
            other.tell(name, False)

    def part(self, *groups: Sequence[str]) -> None:
        """Only peers of one group reach each other; without groups all do."""
        before = {(a, b) for a in self.peers for b in self.peers if self.linked(a, b)}
        self._group = {name: number for number, group in enumerate(groups) for name in group}
        for a, b in sorted({(a, b) for a in self.peers for b in self.peers}):
            if a != b and self.linked(a, b) != ((a, b) in before):
                self.peers[a].tell(b, self.linked(a, b))

    def linked(self, one: str, other: str) -> bool:
        return one in self.peers and other in self.peers and self._group.get(one) == self._group.get(other)

    def note(self, sender: str, to: str, message: bytes) -> None:
        """That was sent now."""
        now = asyncio.get_running_loop().time()
        self.trace.update(f"{now} {sender} {to} {len(message)}\n".encode() + message)

    def unlucky(self, odds: float) -> bool:
        return self.random.random() < odds

    async def travel(self) -> None:
        await asyncio.sleep(self.random.uniform(0, self.delay))

    def carry(self, sender: str, topic: str, message: bytes) -> None:
        self.carried += len(message)
        self.note(sender, topic, message)
        for name in () if self.silent else sorted(self.peers):
            for _ in range(1 + self.unlucky(self.repeat)):
                if name != sender and not self.unlucky(self.loss):
                    task = asyncio.create_task(self._deliver(sender, name, topic, message))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _deliver(self, sender: str, name: str, topic: str, message: bytes) -> None:
        await self.travel()
        if self.linked(sender, name):
            self.peers[name].topics.deliver(topic, GossipMessage(sender, sender, message))


class SimPeer:
    """One peer's Gossip and PeerCalls."""

    def __init__(self, network: SimNetwork, name: str) -> None:
        self.name = name
        self.topics = Topics(network.guard)
        self.methods = Methods()
        self._network = network
        self.kept: dict[str, tuple[str, ...]] = {}
        self._watchers: list[Callable[[str, bool], None]] = []

    async def publish(self, topic: str, message: bytes) -> None:
        check_gossip(message)
        self._network.carry(self.name, topic, message)

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        self.topics.subscribe(topic, handler)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        check_request(method, request)
        self._network.note(self.name, f"{peer} {method}", request)
        async with within(timeout, peer):
            await self._network.travel()
            if not self._network.linked(self.name, peer) or self._network.unlucky(self._network.loss):
                await asyncio.sleep(1.0)
                raise PeerOffline(f"{peer} does not answer")
            answer = await self._network.peers[peer].methods.answer(self.name, method, request)
            self._network.note(peer, self.name, answer)
            await self._network.travel()
            if not self._network.linked(self.name, peer):
                raise PeerOffline(f"{peer} went away")
            return answer

    def serve(self, method: str, handler: CallHandler) -> None:
        self.methods.serve(method, handler)

    def peers(self) -> frozenset[str]:
        return frozenset(
            p for p in self._network.peers if p != self.name and self._network.linked(self.name, p)
        )

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None:
        self._watchers.append(handler)

    def addresses(self, peer: str) -> Sequence[str]:
        return (f"/ip4/127.0.0.1/tcp/1/p2p/{peer}",)

    async def connect(self, address: str) -> str:
        peer = address.rpartition("/")[2]
        if not self._network.linked(self.name, peer):
            raise PeerOffline(f"no peer answers at {address}")
        return peer

    def keep_connected(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Whom the network connects is the test's choice; whom it was asked to keep is in `kept`."""
        self.kept = {peer: tuple(addresses) for peer, addresses in wanted.items()}

    def tell(self, peer: str, connected: bool) -> None:
        for watcher in self._watchers:
            watcher(peer, connected)
