"""The cluster put together: read top to bottom, it is the order of life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from blockstore.common.tasks import background
from cluster.allocation.expiry import ExpirySweeper
from cluster.allocation.repin import Repinner
from cluster.calls.client import MemberClient, serve_calls
from cluster.cluster import Cluster, MemberIdentity
from cluster.common.keyed_lock import KeyedLock
from cluster.common.loops import steadily
from cluster.context import ClusterContext
from cluster.members.dialer import MemberDialer
from cluster.metrics.metric_gossip import MetricGossip, Ping, free_space, ping, tag
from cluster.metrics.metric_store import MetricStore
from cluster.ports import AttemptStore, CapacityInformer, Gossip, LocalPins, Signer
from cluster.settings import ClusterSettings
from cluster.tracking.executor import Executor
from cluster.tracking.tracker import Tracker

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_cluster(
    context: ClusterContext,
    identity: MemberIdentity,
    *,
    pins: LocalPins,
    attempts: AttemptStore,
    gossip: Gossip,
    signer: Signer,
    capacity: CapacityInformer,
) -> AsyncIterator[Cluster]:
    """Put the parts together and run their loops for the length of the block."""
    reader = writer = context.pinset
    membership, calls, settings = context.members, context.calls, context.settings
    now, guard = context.now, context.guard
    remote = MemberClient(calls, settings.call_timeout)
    executor = Executor(
        identity.peer, reader, pins, attempts, membership, calls, remote.holds, settings, now=now
    )
    tracker = Tracker(
        identity.peer, identity.name, reader, pins, attempts, executor, settings, now=now, guard=guard
    )
    metrics = MetricStore(membership)
    turns = KeyedLock()
    cluster = Cluster(
        identity, reader, writer, membership, calls, remote, tracker, metrics, settings, turns, now=now
    )
    sources = [ping(lambda: _ping(identity)), free_space(capacity), *(tag(*pair) for pair in settings.tags)]
    heart = MetricGossip(
        gossip, signer, membership, metrics, sources, interval=settings.metric_interval, now=now, guard=guard
    )
    expiry = ExpirySweeper(
        identity.peer,
        reader,
        writer,
        membership,
        metrics,
        turns,
        interval=settings.expiry_interval,
        now=now,
        clock_ahead=heart.clock_ahead,
        guard=guard,
    )
    repinning = Repinner(
        identity.peer,
        reader,
        writer,
        membership,
        metrics,
        calls,
        lambda pin: cluster.place(pin.options, current=pin.allocations, size=pin.size),
        turns,
        settings,
        now=now,
        guard=guard,
    )
    serve_calls(calls, membership, tracker, cluster.id)
    calls.on_peer_change(lambda _, connected: heart.hurry() if connected else None)
    await heart.publish()
    meeting = MemberDialer(identity.peer, membership, calls, guard)
    loops = tracker.run(), heart.run(), expiry.run(), repinning.run(), meeting.run()
    watch = steadily(guard, "watching metrics", "members", lambda: _watch(metrics, settings, now))
    async with background(*loops, watch):
        yield cluster


def _ping(identity: MemberIdentity) -> Ping:
    ipfs = identity.ipfs()
    return Ping(identity.name, ipfs.id, ipfs.addresses)


async def _watch(metrics: MetricStore, settings: ClusterSettings, now: Callable[[], float]) -> None:
    """Notice metrics that ran out."""
    await asyncio.sleep(settings.metric_interval)
    for alert in metrics.check(now()):
        log.debug("no metric %r from %s any more", alert.metric.name, alert.metric.peer)
