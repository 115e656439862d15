"""What a node does by itself for its store and its pins, and what of its work is listed as jobs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.common.tasks import background
from node.block_access import BlockAccess
from node.events.job_events import follow_jobs
from node.jobs.drain_jobs import DrainJobs
from node.jobs.job import JobSource
from node.jobs.job_file import JobFile
from node.jobs.jobs import Jobs
from node.jobs.rebalance_jobs import RebalanceJobs
from node.jobs.repair_jobs import RepairJobs
from node.opened_folder import OpenedFolder
from node.own_cluster import OwnCluster
from node.services.auto_collection import AutoCollection, Watermarks
from node.services.damage_repair import DamageRepair
from node.services.gc import GarbageCollection
from node.services.operator_watch import open_watch
from node.services.scrub import Scrub
from node.services.scrub_job import ScrubJobs


@dataclass(frozen=True, slots=True)
class OwnUpkeep:
    """What callers may ask of it."""

    scrub: Scrub
    garbage: GarbageCollection
    jobs: Jobs


@asynccontextmanager
async def open_own_upkeep(
    opened: OpenedFolder, access: BlockAccess, own: OwnCluster
) -> AsyncIterator[OwnUpkeep]:
    """It goes on for the length of the block."""
    storage = opened.config.storage
    scrub = Scrub(access.store, opened.folder.scrub, storage.scrub_share, opened.guard)
    jobs = Jobs(JobFile(opened.folder.jobs), opened.guard)
    garbage = _garbage_collection(opened, access, own, jobs)
    marks = Watermarks(storage.gc_high, storage.gc_low)
    automatic = AutoCollection(access.store, garbage.freeing, marks, opened.guard)
    async with (
        _open_services(own, access, scrub, automatic),
        _open_jobs(jobs, own, ScrubJobs(scrub, access.store.usage, time.time)),
    ):
        yield OwnUpkeep(scrub, garbage, jobs)


@asynccontextmanager
async def _open_services(
    own: OwnCluster, access: BlockAccess, scrub: Scrub, collection: AutoCollection
) -> AsyncIterator[None]:
    """What goes on without being asked for, beside the cluster's own loops."""
    cluster = own.cluster
    repair = DamageRepair(
        access.store, access.kept, access.pins, cluster.tracking.recover, cluster.context.guard
    )
    async with (
        open_watch(cluster.context, cluster.metrics.live, access.store, cluster.tracking.recover_failed),
        background(repair.run(), scrub.run(), collection.run()),
    ):
        yield


@asynccontextmanager
async def _open_jobs(jobs: Jobs, own: OwnCluster, scrub: JobSource) -> AsyncIterator[None]:
    """Work that is no request's is listed beside that of requests."""
    follow_jobs(own.events, jobs)
    rebalance = RebalanceJobs(own.cluster.rebalancing, jobs.unfinished)
    for source in (DrainJobs(own.cluster), RepairJobs(own.cluster), rebalance, scrub):
        jobs.add_source(source)
    async with background(jobs.run()):
        yield


def _garbage_collection(
    opened: OpenedFolder, access: BlockAccess, own: OwnCluster, jobs: Jobs
) -> GarbageCollection:
    cluster = own.cluster
    return GarbageCollection(
        access.store,
        access.pins,
        own.pinset,
        cluster.holders,
        cluster.tracking.removals_done,
        opened.identity.peer_id,
        jobs,
    )
