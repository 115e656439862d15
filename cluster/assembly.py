"""The cluster put together: read top to bottom, it is the order of life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.common.group_commit import GroupCommit
from blockstore.common.tasks import background
from cluster.allocation.absence import Absences
from cluster.allocation.expiry import ExpirySweeper
from cluster.allocation.granting import Granting
from cluster.allocation.placement import Placement
from cluster.allocation.repin import Repinner
from cluster.calls.client import MemberClient
from cluster.calls.global_status import GlobalStatus
from cluster.calls.holders import Holders
from cluster.calls.node_info import IpfsInfo
from cluster.calls.peers import Peers
from cluster.calls.server import serve_calls
from cluster.cluster import Cluster
from cluster.common.address import is_public
from cluster.common.keyed_lock import KeyedLock
from cluster.common.loops import steadily
from cluster.context import ClusterContext
from cluster.metrics.informers import Informer, Ping, free_space, pin_queue, ping, tag
from cluster.metrics.metric_gossip import MetricGossip
from cluster.metrics.metric_store import MetricStore
from cluster.moving.draining import Draining
from cluster.moving.drains import Drains
from cluster.moving.member_view import MemberViews
from cluster.moving.mover import Mover
from cluster.moving.rebalance_plan import Balances
from cluster.moving.rebalancing import Rebalancing
from cluster.moving.topping_up import ToppingUp
from cluster.ports import AttemptStore, CapacityInformer, Gossip, LocalPins, Signer
from cluster.tracking.leases import Copy
from cluster.tracking.releases import AskLease
from cluster.tracking.tracker import Tracker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LocalNode:
    """The node below this member: what it holds, and what it says of itself.

    `ipfs` is read afresh: addresses come and go.
    """

    version: str
    ipfs: Callable[[], IpfsInfo]
    pins: LocalPins
    attempts: AttemptStore
    capacity: CapacityInformer


@asynccontextmanager
async def open_cluster(
    context: ClusterContext, node: LocalNode, gossip: Gossip, signer: Signer
) -> AsyncIterator[Cluster]:
    """Put the parts together and run their loops for the length of the block."""
    remote = MemberClient(context.calls, context.settings.call_timeout)
    tracking = Tracker(context, node.pins, node.attempts, remote.lease)
    metrics = MetricStore(context.members, context.now)
    locks, placement = KeyedLock(), Placement(context, metrics)
    granting = Granting(context, placement, locks)
    absences = Absences(context, metrics)
    repinner = Repinner(context, absences, placement, locks)
    views = MemberViews(context, placement, absences)
    mover = Mover(context, locks, _leases(context, tracking, remote))
    draining = Draining(context, views, mover)
    rebalancing = Rebalancing(context, Balances(context, views), mover)
    cluster = Cluster(
        context=context,
        statuses=GlobalStatus(context, tracking, remote),
        tracking=tracking,
        peers=Peers(context, remote, node.version, node.ipfs),
        metrics=metrics,
        holders=Holders(context, remote.holds),
        drains=Drains(context, views, draining),
        rebalancing=rebalancing,
        repinner=repinner,
        locks=locks,
        granting=granting,
        grants=GroupCommit(granting.grant_many, lambda ask: ask.cid),
        removals=GroupCommit(granting.remove_many, lambda cid: cid),
    )
    metric_gossip = MetricGossip(context, gossip, signer, metrics, _informers(context, node, tracking))
    expiry = ExpirySweeper(context, metrics, locks, metric_gossip.clock_ahead)
    serve_calls(context, tracking, cluster.peers.us)
    context.calls.on_peer_change(lambda _, connected: metric_gossip.publish_soon() if connected else None)
    await metric_gossip.publish()
    watching = absences.run(), _watch(context, metrics)
    moving = repinner.run(), draining.run(), rebalancing.run(), ToppingUp(context, views, mover).run()
    async with background(tracking.run(), metric_gossip.run(), expiry.run(), *watching, *moving):
        try:
            yield cluster
        finally:
            await cluster.finish()


def _leases(context: ClusterContext, tracking: Tracker, remote: MemberClient) -> AskLease:
    """Asked of any member, this one included."""

    async def ask(peer: str, copies: Sequence[Copy]) -> Sequence[bool]:
        if peer == context.peer:
            return await tracking.lease(copies)
        return await remote.lease(peer, copies)

    return ask


def _informers(context: ClusterContext, node: LocalNode, tracking: Tracker) -> Sequence[Informer]:
    def about() -> Ping:
        ipfs = node.ipfs()
        return Ping(context.name, ipfs.id, tuple(filter(is_public, ipfs.addresses)), ipfs.provides)

    tags = (tag(*pair) for pair in context.settings.tags)
    return [ping(about), free_space(node.capacity), pin_queue(tracking.pins_waiting), *tags]


async def _watch(context: ClusterContext, metrics: MetricStore) -> None:
    """Notice metrics that ran out."""

    async def check() -> None:
        await asyncio.sleep(context.settings.metric_interval)
        for alert in metrics.check():
            _log.debug("no metric %r from %s any more", alert.metric.name, alert.metric.peer)

    await steadily(context.guard, "watching metrics", "members", check)
