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

from cluster.common.envelope import open_sealed, seal
from cluster.common.loops import steadily
from cluster.context import ClusterContext
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.metrics.informers import Informer, MetricReading
from cluster.metrics.metric_store import MetricStore
from cluster.metrics.report import MAX_MESSAGE, Report
from cluster.ports import Gossip, GossipMessage, Signer

TOPIC = "pinfold/metrics/2"
_DOMAIN = b"pinfold metrics 2\0"
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
        now = self._context.now()
        report = Report(self._context.peer, int(now * 1000), 2 * self._interval, await self._read())
        self._store.put(report.metrics(self._context.now()))
        message = seal(report.encode(), _DOMAIN, self._context.cluster_id, self._signer)
        await self._gossip.publish(TOPIC, message)

    async def _read(self) -> tuple[MetricReading, ...]:
        readings: list[MetricReading] = []
        for informer in self._informers:
            with self._context.guard.around("reading a metric", self._context.peer, OSError):
                readings.append(await informer())
        return tuple(readings)

    async def _receive(self, message: GossipMessage) -> None:
        """What is not a member's valid word is dropped: gossip is best effort."""
        with self._context.guard.around("metrics", message.author, BadUpdate, UntrustedPeer):
            self._accept(message.data)

    def _accept(self, message: bytes) -> None:
        sealed = open_sealed(message, MAX_MESSAGE)
        report = Report.decode(sealed)
        peer, now = report.peer, self._context.now()
        if peer == self._context.peer or not self._context.members.is_member(peer):
            raise UntrustedPeer(f"{peer} is not another member")
        sealed.verify(peer, _DOMAIN, self._context.cluster_id, self._signer)
        if self._is_old(report):
            raise BadUpdate(f"metrics of {peer}: out of date")
        self._store.put(report.metrics(now))
        self._stamps[peer] = report.stamp
        self._ahead[peer] = now - report.stamp / 1000
        self._forget_others()

    def _is_old(self, report: Report) -> bool:
        last = self._stamps.get(report.peer, -math.inf)
        return last - report.ttl * 1000 < report.stamp <= last

    def _forget_others(self) -> None:
        for peer in [peer for peer in self._stamps if not self._context.members.is_member(peer)]:
            del self._stamps[peer], self._ahead[peer]
