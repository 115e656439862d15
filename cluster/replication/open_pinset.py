"""The replicated pinset put together: read top to bottom, it is the order of life."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random, SystemRandom

from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from cluster.common.cooperative import Slices, TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.hybrid_clock import TOLERANCE, HybridClock
from cluster.common.local_member import LocalMember
from cluster.common.methods import JOIN
from cluster.members.invite import Invite
from cluster.members.isolation import IsolationWatch
from cluster.members.join import JoinHandler
from cluster.members.links import MemberLinks
from cluster.members.member_list import MemberList
from cluster.members.open_members import open_members
from cluster.members.record_store import MemberRecordStore
from cluster.members.standing import Standing
from cluster.pinset.change_feed import ChangeFeed
from cluster.pinset.replica import open_replica
from cluster.pinset.tables.live_entries import NO_QUOTA, MemberQuota
from cluster.pinset.tables.log_store import LogStore
from cluster.pinset.tables.migrations import PAGE as MIGRATION_PAGE
from cluster.pinset.tables.migrator import open_migrator
from cluster.pinset.tables.store import STAMP_FACT, PinsetStore, SqlDatabase
from cluster.ports import ClusterNetwork, Signer
from cluster.replication.admission import Admission
from cluster.replication.anti_entropy import AntiEntropy
from cluster.replication.catchup import CatchUp
from cluster.replication.catchup_server import CatchUpServer
from cluster.replication.context import ReplicationContext
from cluster.replication.fork_watch import ForkWatch
from cluster.replication.handler_gate import HandlerGate
from cluster.replication.log_cutter import DEFAULT_RETENTION, LogCutter, LogRetention
from cluster.replication.mending import Mending
from cluster.replication.own_quota import OwnQuota
from cluster.replication.pinset_gossip import PinsetGossip
from cluster.replication.pinset_log import PinsetLog
from cluster.replication.quota_pauses import QuotaPauses
from cluster.replication.replicated_pinset import PAGE_SIZE, ReplicatedPinset
from cluster.replication.snapshot_limits import DEFAULT_LIMITS, SnapshotLimits
from cluster.replication.snapshot_server import SnapshotServer
from cluster.replication.snapshots import Snapshots
from cluster.replication.sync_loop import SyncLoop
from cluster.replication.write_batcher import WriteBatcher

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PinsetSettings:
    """How the pinset works: `name` is what this node calls itself; sizes and pages in pins.

    `bulk`: the addresses where it offers blocks in bulk.
    """

    name: str = ""
    batch_size: int = 1000
    page_size: int = PAGE_SIZE
    retention: LogRetention = DEFAULT_RETENTION
    snapshots: SnapshotLimits = DEFAULT_LIMITS
    migration_page: int = MIGRATION_PAGE
    quota: MemberQuota = NO_QUOTA
    bulk: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a simulation replaces: the wall clock (seconds since 1970), chance, and how long work is cut.

    Epochs and pauses are drawn by `chance`. What nothing foresaw in a loop is `guard`'s to count.
    """

    now: Callable[[], float] = time.time
    guard: Guard = field(default_factory=Guard)
    chance: Random = field(default_factory=SystemRandom)
    slices: Slices = TimeSlice


@asynccontextmanager
async def open_pinset(
    database: SqlDatabase,
    genesis: Genesis,
    signer: Signer,
    network: ClusterNetwork,
    *,
    invite: Invite | None = None,
    settings: PinsetSettings = PinsetSettings(),
    surroundings: Surroundings | None = None,
) -> AsyncIterator[ReplicatedPinset]:
    """The pinset kept in `database`, replicated while the block lasts.

    The database has the tables of pinset.schema and members.record_store; what an earlier release
    left in its own form is brought forward meanwhile. With an `invite` this node joins in the background as
    soon as a member lets it in, and until then believes the peers that the token names.
    Leaving writes what was submitted, then stops.
    """
    around = surroundings or Surroundings()
    migrator = await open_migrator(database, around.guard, settings.migration_page)
    store = PinsetStore(database, migrator.lacks)
    await store.prepare()
    clock = await _stored_clock(store, around.now)
    local = LocalMember(genesis, signer, clock, around.chance, around.slices)
    members = await open_members(MemberRecordStore(database), local, invite.trusted if invite else ())
    context = await _open_context(local, store, members, network, settings.quota, around)
    replica, gate = context.replica, context.gate

    forks = ForkWatch(context)
    admission = Admission(context, forks)
    catchup = CatchUp(context, admission, forks)
    snapshots = Snapshots(context, catchup.exchange_records, settings.snapshots)
    mending = Mending(context)
    sync_loop = SyncLoop(context, catchup, AntiEntropy(context, mending), snapshots, mending)
    served = CatchUpServer(context, sync_loop.ask)
    SnapshotServer(context, served.opening, settings.snapshots.page_bytes)
    outgoing = PinsetGossip(context, network, admission, sync_loop)
    batcher = WriteBatcher(outgoing.write, settings.batch_size, around.slices)
    own_quota = OwnQuota(settings.quota, lambda: replica.live(local.peer))
    cutter = LogCutter(context, LogStore(database), settings.retention)
    log = PinsetLog(context, sync_loop, cutter)
    standing = Standing(local, members, network, around.guard)
    gate.serve(JOIN, JoinHandler(local, members, around.now).answer)

    MemberLinks(local.peer, members, network)
    watch = IsolationWatch(local.peer, members, network, around.guard)

    loops = (
        batcher.run(),
        outgoing.run(),
        outgoing.run_admission(),
        sync_loop.run(),
        sync_loop.run_periodically(),
        watch.run(),
    )
    try:
        async with background(
            *loops,
            cutter.run(),
            forks.run(),
            forks.run_containment(),
            migrator.run(),
            standing.establish(settings.name, invite, settings.bulk),
        ):
            try:
                yield ReplicatedPinset(
                    context, standing, sync_loop, batcher, own_quota, log, migrator, settings.page_size
                )
            finally:
                await batcher.close()
                await outgoing.flush()
    finally:
        await gate.close()
        await replica.idle()


async def _open_context(
    local: LocalMember,
    store: PinsetStore,
    members: MemberList,
    network: ClusterNetwork,
    quota: MemberQuota,
    around: Surroundings,
) -> ReplicationContext:
    """The replica as the store left it, and what all parts of replication share."""
    changes = ChangeFeed(around.guard)
    replica = await open_replica(store, local, changes.publish, quota)
    pauses = QuotaPauses(replica.live, members.name)
    gate = HandlerGate(network, network, members)
    return ReplicationContext(
        local, store, replica, members, network, changes, gate, around.guard, around.now, pauses
    )


async def _stored_clock(store: PinsetStore, now: Callable[[], float]) -> HybridClock:
    """The clock, behind no stamp that it issued before."""
    clock = HybridClock(now, int.from_bytes((await store.facts()).get(STAMP_FACT, b"")))
    if clock.ahead() > TOLERANCE:
        _log.warning(
            "this node's clock stands %.1f hours before what it last wrote: set it by NTP",
            clock.ahead() / 3600,
        )
    return clock
