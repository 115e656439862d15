"""Metrics over gossip: what this node says of itself each interval, and what is believed of others.

A message is signed by the member it is about, and carries the sender's clock in milliseconds. One that is
older than the last seen is dropped; a clock that was set far back is followed.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from blockstore.common.guard import Guard
from cluster.common.loops import steadily
from cluster.common.names import as_name
from cluster.common.wire import Fields, encode
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.interfaces import Membership
from cluster.metrics.metric_store import FREESPACE, MAX_METRICS, PING, TAG, Metric, MetricStore
from cluster.ports import CapacityInformer, Gossip, GossipMessage, Signer

TOPIC = "pinfold/metrics/1"
MAX_MESSAGE = 64 * 1024
MAX_TTL = 3600.0
_CONTEXT = b"pinfold metrics 1\0"
_SPACING = 1.0  # seconds between two messages at least, however many peers connect
_EAGER = 4  # messages at that spacing after a peer connects: gossip needs a moment to find a new listener


@dataclass(frozen=True, slots=True)
class MetricReading:
    """A metric before it has a peer and a time."""

    name: str
    value: str
    weight: int = 0
    partitionable: bool = False


Source = Callable[[], Awaitable[MetricReading]]
"""One of this node's own metrics, read afresh."""


@dataclass(frozen=True, slots=True)
class Ping:
    """What the value of a `ping` says: the member's name and its node on the open network."""

    peer_name: str = ""
    ipfs_id: str = ""
    ipfs_addresses: tuple[str, ...] = ()

    def text(self) -> str:
        """JSON with empty parts left out, as ipfs-cluster writes it."""
        parts = {"peer_name": self.peer_name, "ipfs_id": self.ipfs_id, "ipfs_addresses": self.ipfs_addresses}
        return json.dumps({key: part for key, part in parts.items() if part})

    @classmethod
    def parse(cls, text: str) -> Ping:
        """Whatever can be read of it; parts of another shape are left empty."""
        try:
            parts = json.loads(text)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(parts, dict):
            return cls()
        addresses = parts.get("ipfs_addresses")
        return cls(
            as_name(str(parts.get("peer_name", ""))),
            as_name(str(parts.get("ipfs_id", ""))),
            tuple(as_name(str(one)) for one in addresses) if isinstance(addresses, list) else (),
        )


def free_space(inform: CapacityInformer) -> Source:
    """Bytes that still fit here: what the disk has, or what the quota leaves."""

    async def read() -> MetricReading:
        capacity = await inform()
        free = min(capacity.free, capacity.quota - capacity.used) if capacity.quota else capacity.free
        return MetricReading(FREESPACE, str(max(0, free)), max(0, free))

    return read


def tag(key: str, value: str) -> Source:
    async def read() -> MetricReading:
        return MetricReading(TAG + key, value, partitionable=True)

    return read


def ping(about: Callable[[], Ping]) -> Source:
    async def read() -> MetricReading:
        return MetricReading(PING, about().text())

    return read


class MetricGossip:
    """Publishes `sources` each `interval` (time to live: twice that), and fills the store."""

    def __init__(
        self,
        gossip: Gossip,
        signer: Signer,
        membership: Membership,
        store: MetricStore,
        sources: Sequence[Source],
        *,
        interval: float,
        now: Callable[[], float],
        guard: Guard,
    ) -> None:
        self._gossip = gossip
        self._signer = signer
        self._membership = membership
        self._store = store
        self._sources = sources
        self._interval = interval
        self._now = now
        self._guard = guard
        self._stamps: dict[str, int] = {}
        self._ahead: dict[str, float] = {}
        self._soon = asyncio.Event()
        self._eager = _EAGER
        self.dropped = 0
        gossip.subscribe(TOPIC, self._receive)

    def hurry(self) -> None:
        """Publish now rather than at the next interval: somebody new listens."""
        self._eager = _EAGER
        self._soon.set()

    def clock_ahead(self) -> float:
        """Seconds by which our clock is ahead of the other members' (median); 0 while alone."""
        return median(self._ahead.values()) if self._ahead else 0.0

    async def run(self) -> None:
        await steadily(self._guard, "publishing metrics", "all members", self._beat)

    async def _beat(self) -> None:
        """Publish once, and wait for the next time."""
        self._soon.clear()
        await self.publish()
        await asyncio.sleep(min(_SPACING, self._interval))
        if self._eager:
            self._eager -= 1
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._interval - _SPACING)):
                await self._soon.wait()

    async def publish(self) -> None:
        """Read every source once, tell the store, and tell the others. A source that fails is left out."""
        readings: list[MetricReading] = []
        for source in self._sources:
            with self._guard.around("reading a metric", self._signer.peer_id, OSError):
                readings.append(await source())
        stamp, ttl = int(self._now() * 1000), 2 * self._interval
        body = _encode(self._signer.peer_id, stamp, ttl, readings)
        self._store.put(_metrics(self._signer.peer_id, readings, ttl, self._now()))
        signature = self._signer.sign(_CONTEXT + body)
        await self._gossip.publish(TOPIC, encode({"body": body, "sig": signature}))

    async def _receive(self, message: GossipMessage) -> None:
        with self._guard.around("metrics", message.author):
            try:
                self._accept(message.data)
            except (BadUpdate, UntrustedPeer):
                self.dropped += 1  # gossip is best effort: a counter is the whole answer

    def _accept(self, message: bytes) -> None:
        envelope = Fields.decode(message, MAX_MESSAGE)
        body, signature = envelope.data("body", MAX_MESSAGE), envelope.data("sig", 128)
        fields = Fields.decode(body, MAX_MESSAGE)
        peer, stamp, ttl = fields.text("peer", limit=128), fields.integer("stamp"), fields.number("ttl")
        if peer == self._signer.peer_id or not self._membership.is_member(peer):
            raise UntrustedPeer(f"{peer} is not another member")
        if not self._signer.verify(peer, _CONTEXT + body, signature):
            raise BadUpdate(f"metrics of {peer}: bad signature")
        if not 0 < ttl <= MAX_TTL or self._is_old(peer, stamp, ttl):
            raise BadUpdate(f"metrics of {peer}: out of date")
        self._store.put(_metrics(peer, _readings(fields), ttl, self._now()))
        self._stamps[peer] = stamp
        self._ahead[peer] = self._now() - stamp / 1000
        self._forget_others()

    def _is_old(self, peer: str, stamp: int, ttl: float) -> bool:
        last = self._stamps.get(peer, -math.inf)
        return last - ttl * 1000 < stamp <= last

    def _forget_others(self) -> None:
        for peer in [peer for peer in self._stamps if not self._membership.is_member(peer)]:
            del self._stamps[peer], self._ahead[peer]


def _encode(peer: str, stamp: int, ttl: float, readings: Sequence[MetricReading]) -> bytes:
    return encode(
        {
            "peer": peer,
            "stamp": stamp,
            "ttl": ttl,
            "metrics": [
                {"name": one.name, "value": one.value, "weight": one.weight, "part": int(one.partitionable)}
                for one in readings
            ],
        }
    )


def _readings(fields: Fields) -> list[MetricReading]:
    return [_reading(Fields(item)) for item in fields.items("metrics", MAX_METRICS)]


def _reading(fields: Fields) -> MetricReading:
    return MetricReading(
        name=fields.text("name", limit=128),
        value=fields.text("value"),
        weight=fields.integer("weight", low=-(1 << 63)),
        partitionable=bool(fields.integer("part", 0, high=1)),
    )


def _metrics(peer: str, readings: Sequence[MetricReading], ttl: float, now: float) -> list[Metric]:
    return [
        Metric(one.name, peer, one.value, one.weight, now + ttl, now, one.partitionable) for one in readings
    ]
