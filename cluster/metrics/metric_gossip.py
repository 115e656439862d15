"""Heartbeats over gossip: what this node says of itself each interval, and what is believed of others.

A message is signed by the member it is about, and carries the sender's clock in milliseconds. One that is
older than the last seen is dropped; a clock that was set far back is followed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from statistics import median

from cluster.common.loops import steadily
from cluster.common.wire import Fields, encode
from cluster.context import ClusterContext
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.metrics.informers import Informer, MetricReading
from cluster.metrics.metric_store import MAX_METRICS, Metric, MetricStore
from cluster.ports import Gossip, GossipMessage, Signer

TOPIC = "pinfold/metrics/1"
MAX_MESSAGE = 64 * 1024
MAX_TTL = 3600.0
_CONTEXT = b"pinfold metrics 1\0"
_SPACING = 1.0  # seconds between two messages at least, however many peers connect
_EXTRA = 4  # messages at that spacing after a peer connects: gossip needs a moment to find a new listener


class MetricGossip:
    """Publishes what its informers read (time to live: twice the interval), and fills the store."""

    def __init__(
        self,
        context: ClusterContext,
        gossip: Gossip,
        signer: Signer,
        store: MetricStore,
        informers: Sequence[Informer],
    ) -> None:
        self._context = context
        self._gossip = gossip
        self._signer = signer
        self._store = store
        self._informers = informers
        self._interval = context.settings.metric_interval
        self._stamps: dict[str, int] = {}
        self._ahead: dict[str, float] = {}
        self._soon = asyncio.Event()
        self._extra = _EXTRA
        gossip.subscribe(TOPIC, self._receive)

    def publish_soon(self) -> None:
        """Publish now rather than at the next interval: another peer listens."""
        self._extra = _EXTRA
        self._soon.set()

    def clock_ahead(self) -> float:
        """Seconds by which our clock is ahead of the other members' (median); 0 while alone."""
        return median(self._ahead.values()) if self._ahead else 0.0

    async def run(self) -> None:
        await steadily(self._context.guard, "publishing metrics", "all members", self._turn)

    async def _turn(self) -> None:
        """Publish once, and wait for the next time."""
        self._soon.clear()
        await self.publish()
        await asyncio.sleep(min(_SPACING, self._interval))
        if self._extra:
            self._extra -= 1
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._interval - _SPACING)):
                await self._soon.wait()

    async def publish(self) -> None:
        """Read every informer once, for the store here and for the others. One that fails is left out."""
        readings = await self._read()
        stamp, ttl = int(self._context.now() * 1000), 2 * self._interval
        body = _encode(self._context.peer, stamp, ttl, readings)
        self._store.put(_metrics(self._context.peer, readings, ttl, self._context.now()))
        signature = self._signer.sign(_CONTEXT + body)
        await self._gossip.publish(TOPIC, encode({"body": body, "sig": signature}))

    async def _read(self) -> list[MetricReading]:
        readings: list[MetricReading] = []
        for informer in self._informers:
            with self._context.guard.around("reading a metric", self._context.peer, OSError):
                readings.append(await informer())
        return readings

    async def _receive(self, message: GossipMessage) -> None:
        """What is not a member's valid word is dropped: gossip is best effort."""
        with self._context.guard.around("metrics", message.author, BadUpdate, UntrustedPeer):
            self._accept(message.data)

    def _accept(self, message: bytes) -> None:
        envelope = Fields.decode(message, MAX_MESSAGE)
        body, signature = envelope.data("body", MAX_MESSAGE), envelope.data("sig", 128)
        fields = Fields.decode(body, MAX_MESSAGE)
        peer, stamp, ttl = fields.text("peer", limit=128), fields.integer("stamp"), fields.number("ttl")
        if peer == self._context.peer or not self._context.members.is_member(peer):
            raise UntrustedPeer(f"{peer} is not another member")
        if not self._signer.verify(peer, _CONTEXT + body, signature):
            raise BadUpdate(f"metrics of {peer}: bad signature")
        if not 0 < ttl <= MAX_TTL or self._is_old(peer, stamp, ttl):
            raise BadUpdate(f"metrics of {peer}: out of date")
        self._store.put(_metrics(peer, _readings(fields), ttl, self._context.now()))
        self._stamps[peer] = stamp
        self._ahead[peer] = self._context.now() - stamp / 1000
        self._forget_others()

    def _is_old(self, peer: str, stamp: int, ttl: float) -> bool:
        last = self._stamps.get(peer, -math.inf)
        return last - ttl * 1000 < stamp <= last

    def _forget_others(self) -> None:
        for peer in [peer for peer in self._stamps if not self._context.members.is_member(peer)]:
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
