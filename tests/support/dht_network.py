"""A DHT of many servers in virtual time: each knows some peers of each distance, answers, lies or is gone.

The servers' tables are drawn when they are first asked, so that ten thousand of them cost little. What they
keep is real: a server answers with what it was told.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from random import Random

from cluster.common.peer_id import of_key
from node.routing.kad.keys import BITS, kad_key, peer_key, shared_bits
from node.routing.kad.message import KadMessage, KadType
from node.routing.kad.network import NoAnswer
from node.routing.router import Provider

BUCKET = 20
Lie = Callable[["SimServer", KadMessage], KadMessage]


def sim_peer(number: int, salt: int = 0) -> Provider:
    """A peer of its own /16 as far as there are enough of them."""
    peer = of_key(number.to_bytes(16) + salt.to_bytes(16))
    return Provider(peer, (f"/ip4/{11 + number // 256 % 80}.{number % 256}.1.{salt % 250 + 1}/tcp/4001",))


@dataclass(eq=False)
class SimServer:
    """`lie` answers in its place; a server that is `gone` costs its caller the time of a dial."""

    network: SimDht
    peer: Provider
    key: int
    lie: Lie | None = None
    gone: bool = False
    provided: dict[bytes, dict[str, Provider]] = field(default_factory=dict)
    values: dict[bytes, KadMessage] = field(default_factory=dict)

    def answer(self, request: KadMessage) -> KadMessage:
        """What an honest server says."""
        closer = tuple(self.network.known_to(self, kad_key(request.key)))
        if request.type is KadType.GET_PROVIDERS:
            found = tuple(self.provided.get(request.key, {}).values())
            return KadMessage(request.type, request.key, closer=closer, providers=found)
        if request.type is KadType.PUT_VALUE:
            self.values[request.key] = request
            return request
        kept = self.values.get(request.key) if request.type is KadType.GET_VALUE else None
        return KadMessage(request.type, request.key, None if kept is None else kept.record, closer)

    def told(self, message: KadMessage) -> None:
        for provider in message.providers:
            self.provided.setdefault(message.key, {})[provider.peer] = provider


class SimDht:
    """All servers, by key; `asked` and `told` count what went over the network."""

    def __init__(
        self, count: int, seed: int = 1, delay: float = 0.05, others: Sequence[Provider] = ()
    ) -> None:
        self.random = Random(seed)
        self.delay = delay
        self.asked: Counter[KadType] = Counter()
        self.told = 0
        self.tells = 0
        self.keeps = True  # False: what servers are told is only counted
        self.servers: dict[str, SimServer] = {}
        for peer in (*map(sim_peer, range(count)), *others):
            self.servers[peer.peer] = SimServer(self, peer, peer_key(peer.peer))
        self._sorted = sorted(self.servers.values(), key=lambda one: one.key)
        self._keys = [one.key for one in self._sorted]
        self._buckets: dict[tuple[str, int], list[SimServer]] = {}

    def node(self, number: int = 10**6) -> SimKadNetwork:
        """The network as one client sees it."""
        return SimKadNetwork(self, sim_peer(number))

    def nearest(self, key: int, count: int = BUCKET) -> list[SimServer]:
        """Of all servers that live: what a perfect look-up would find."""
        bits = BITS
        while bits and len(self._within(key, bits)) < count + sum(
            one.gone for one in self._within(key, bits)
        ):
            bits -= 1
        live = [one for one in self._within(key, bits) if not one.gone]
        return nsmallest(count, live, key=lambda one: one.key ^ key)

    def known_to(self, server: SimServer, target: int) -> list[Provider]:
        """The nearest of those in its table."""
        level = shared_bits(server.key, target)
        known = {one.peer.peer: one for one in self._bucket(server, level)}
        while (
            len(known) < BUCKET and (level := level + 1) <= BITS and (near := self._within(server.key, level))
        ):
            known |= {one.peer.peer: one for one in self._bucket(server, level)}
            if len(near) <= 1:
                break
        level = shared_bits(server.key, target)
        while len(known) < BUCKET and (level := level - 1) >= 0:
            known |= {one.peer.peer: one for one in self._bucket(server, level)}
        return [one.peer for one in nsmallest(BUCKET, known.values(), key=lambda one: one.key ^ target)]

    def replace(self, share: float) -> None:
        """That share of the servers goes; tables still name them."""
        for server in self.random.sample(self._sorted, int(len(self._sorted) * share)):
            server.gone = True

    def corrupt(self, share: float, lie: Lie) -> None:
        for server in self.random.sample(self._sorted, int(len(self._sorted) * share)):
            server.lie = lie

    def _bucket(self, server: SimServer, level: int) -> list[SimServer]:
        """Peers that share exactly that many bits with it; it knows twenty of them at most."""
        if (server.peer.peer, level) not in self._buckets:
            flipped = server.key ^ (1 << (BITS - 1 - level)) if level < BITS else server.key
            others = self._within(flipped, level + 1)
            chosen = others if len(others) <= BUCKET else self.random.sample(others, BUCKET)
            self._buckets[server.peer.peer, level] = chosen
        return self._buckets[server.peer.peer, level]

    def _within(self, key: int, bits: int) -> list[SimServer]:
        """Servers that share at least so many leading bits with the key."""
        bits = min(bits, BITS)
        low = key >> (BITS - bits) << (BITS - bits)
        return self._sorted[
            bisect_left(self._keys, low) : bisect_left(self._keys, low + (1 << (BITS - bits)))
        ]


class SimKadNetwork:
    """Satisfies KadNetwork."""

    def __init__(self, dht: SimDht, us: Provider) -> None:
        self._dht = dht
        self.us = us

    def accepts(self, peer: Provider) -> bool:
        return bool(peer.addresses)

    async def ask(self, peer: Provider, request: KadMessage) -> KadMessage:
        server = await self._reached(peer)
        self._dht.asked[request.type] += 1
        answer = server.answer(request) if server.lie is None else server.lie(server, request)
        return KadMessage.decode(answer.encode())

    async def tell(self, peer: Provider, messages: Sequence[KadMessage]) -> None:
        server = await self._reached(peer)
        self._dht.tells += 1
        self._dht.told += len(messages)
        for message in messages if self._dht.keeps else ():
            server.told(message)

    async def _reached(self, peer: Provider) -> SimServer:
        server = self._dht.servers.get(peer.peer)
        if server is None or server.gone:
            await asyncio.sleep(5.0)
            raise NoAnswer(f"{peer.peer}: nobody is there")
        await asyncio.sleep(self._dht.random.uniform(0.5, 1.5) * self._dht.delay)
        return server
