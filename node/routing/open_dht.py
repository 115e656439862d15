"""Taking part in the DHTs over the open network: which servers are known, kept fresh, and answered as one."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from blockstore.common.token_bucket import TokenBucket
from cluster.common.peer_id import multihash_of, peer_of
from cluster.errors import BadAddress
from node.names.errors import BadRecord
from node.routing.dht import Dht, KadRouter
from node.routing.kad.client import KadClient
from node.routing.kad.message import KadMessage
from node.routing.kad.routing_table import RoutingTable
from node.routing.kad.server import KadServer
from node.routing.kad.streams import LAN, WAN, KadStreams, RequestNetwork
from node.routing.router import Provider

_REFRESH = 600.0  # seconds between look-ups that keep the tables fresh
_RANDOM = 3  # look-ups of random keys at each of these
_REQUESTS, _BURST = 50.0, 500.0  # of one peer that are answered a second
_MOST_RATES = 1024  # peers whose requests are counted


@asynccontextmanager
async def open_dht(
    network: RequestNetwork, guard: Guard, *, server: bool, now: Callable[[], float] = time.time
) -> AsyncIterator[Dht]:
    """As a client, or as a `server` that keeps records of other peers too."""
    taking = [_Participant(KadStreams(network, kind), network, now) for kind in (WAN, LAN)]
    if server:
        for one in taking:
            one.serve()
    parts = [KadRouter(one.client, one.streams.kind) for one in taking]
    async with background(*(one.keep_fresh(guard) for one in taking)):
        yield Dht(parts, guard)


class _Participant:
    """This node in one DHT."""

    def __init__(self, streams: KadStreams, network: RequestNetwork, now: Callable[[], float]) -> None:
        self.streams = streams
        self._us = network.self_id
        self._table = RoutingTable(network.self_id)
        self._now = now
        self._rates = _Rates()
        self._found = asyncio.Event()  # a server is known
        self.client = KadClient(streams, self._table, now)
        network.on_described(self._described)
        for peer in network.peers():
            self._described(peer)

    def serve(self) -> None:
        """Answer other peers from now on."""
        server = KadServer(self._table, self._connected, self.streams.accepts)

        def answer(peer: str, request: KadMessage) -> KadMessage | None:
            if not self._rates.allow(peer, self._now()):
                raise BadRecord(f"{peer} asks too often")
            return server.answer(peer, request, self._now())

        self.streams.serve(answer)

    async def keep_fresh(self, guard: Guard) -> None:
        """Look for servers near to this node, and anywhere, now and then; until cancelled."""
        while True:
            await self._found.wait()
            for name in (multihash_of(self._us), *(os.urandom(32) for _ in range(_RANDOM))):
                with guard.around("a look-up that keeps fresh", self.streams.kind.name):
                    await self.client.closest(name)
            await asyncio.sleep(_REFRESH)

    def _described(self, peer: str) -> None:
        known = self.streams.connected(peer)
        if known is not None and known.addresses:
            self._table.heard(known, asyncio.get_running_loop().time())
            self._found.set()

    def _connected(self, key: bytes) -> Provider | None:
        try:
            return self.streams.connected(peer_of(key))
        except BadAddress:
            return None


class _Rates:
    """How often each peer asks; of those that asked long ago nothing is known any more."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    def allow(self, peer: str, now: float) -> bool:
        bucket = self._buckets.pop(peer, None) or TokenBucket(_REQUESTS, _BURST)
        self._buckets[peer] = bucket  # the most recent last
        if len(self._buckets) > _MOST_RATES:
            del self._buckets[next(iter(self._buckets))]
        return not bucket.take(1, now)
