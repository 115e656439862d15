"""What every JobSource promises (node/jobs/job.py): its jobs are paused, go on, and say what may be asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid
from support.moved_pins import spread
from support.pinned_together import seed

from blockstore.common.guard import Guard
from blockstore.sqlite.open_store import open_sqlite_blockstore
from cluster.interfaces import Duty
from cluster.settings import ClusterSettings
from node.jobs.drain_jobs import DrainJobs
from node.jobs.job import Job, JobSource, JobState, JobVerb
from node.jobs.rebalance_jobs import RebalanceJobs
from node.jobs.repair_jobs import RepairJobs
from node.services.scrub import Scrub
from node.services.scrub_job import ScrubJobs

Opener = Callable[[], AbstractAsyncContextManager[JobSource]]
"""A source with one job that is under way, and stays so for a while."""


@asynccontextmanager
async def draining() -> AsyncIterator[JobSource]:
    world = MemoryCluster(3)
    numbers = spread(world, 5, [0, 1])
    world.stuck.update(cid(number) for number in numbers)
    async with world.all() as clusters:
        await asyncio.sleep(20)
        source = DrainJobs(clusters[0])
        assert not await source.jobs()
        await clusters[0].drains.drain(world.members.members()[1])
        await asyncio.sleep(10)
        yield source


@asynccontextmanager
async def repairing() -> AsyncIterator[JobSource]:
    world = MemoryCluster(4, settings=ClusterSettings(repin_rate=0.01, repin_grace=30))
    async with AsyncExitStack() as stack:
        first, *_ = [await stack.enter_async_context(world.member(number)) for number in (0, 1, 2)]
        for number in range(60):
            seed(world, number, [world.peers[1], world.peers[3]])
        source = RepairJobs(first)
        assert not await source.jobs()
        await asyncio.sleep(100)
        yield source


@asynccontextmanager
async def rebalancing() -> AsyncIterator[JobSource]:
    world = MemoryCluster(3)
    numbers = spread(world, 30, [0, 1])
    world.stuck.update(cid(number) for number in numbers)
    async with world.all() as clusters:
        await asyncio.sleep(20)
        source = RebalanceJobs(clusters[0].rebalancing, ())
        assert not await source.jobs()
        await clusters[0].rebalancing.begin()
        await asyncio.sleep(5)
        yield source


async def under_way(source: JobSource) -> Job:
    (job,) = await source.jobs()
    return job


async def keeps_its_promises(source: JobSource) -> None:
    job = await under_way(source)
    assert job.state in (JobState.RUNNING, JobState.WAITING)
    assert job.id.startswith(job.kind)
    assert job.subject
    assert job.unit
    assert job.left is None or job.left >= 0
    assert JobVerb.PAUSE in job.verbs
    assert JobVerb.RESUME not in job.verbs
    await source.command(job, JobVerb.PAUSE)
    paused = await under_way(source)
    assert (paused.id, paused.state) == (job.id, JobState.PAUSED)
    assert JobVerb.RESUME in paused.verbs
    await source.command(paused, JobVerb.RESUME)
    resumed = await under_way(source)
    assert (resumed.id, resumed.state.is_over) == (job.id, False)
    assert resumed.state is not JobState.PAUSED
    if JobVerb.CANCEL in resumed.verbs:
        await source.command(resumed, JobVerb.CANCEL)
        assert all(one.state.is_over for one in await source.jobs())


@pytest.mark.parametrize("opener", [draining, repairing, rebalancing])
def test_a_job_of_the_cluster_is_paused_goes_on_and_ends(opener: Opener) -> None:
    @virtual_time
    async def scenario() -> None:
        async with opener() as source:
            await keeps_its_promises(source)

    scenario()


async def test_so_is_scrubbing(tmp_path: Path) -> None:
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as store:
        scrub = Scrub(store, tmp_path / "scrub.json", 1.0, Guard())
        source = ScrubJobs(scrub, store.usage, time.time)
        assert not await source.jobs()
        scrub.begin()
        await keeps_its_promises(source)


@virtual_time
async def test_a_repair_that_is_paused_is_listed_after_its_member_is_back_and_after_a_restart() -> None:
    world = MemoryCluster(3)
    await world.members.set_duty(world.peers[2], Duty.HELD)
    async with world.all() as clusters:
        source = RepairJobs(clusters[0])
        job = await under_way(source)
        assert (job.state, job.verbs) == (JobState.PAUSED, (JobVerb.RESUME,))
        await source.command(job, JobVerb.RESUME)
        assert not await source.jobs()
        assert world.members.duty(world.peers[2]) is Duty.OPEN
