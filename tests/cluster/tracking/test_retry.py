"""Failed pins come back by themselves, and hold up no others."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, until, wall_clock
from support.tracked_pins import ALL, attempts, everywhere, failed, pinned, reaches, status

from cluster.pin import Status
from cluster.ports import Attempt, OperationKind
from cluster.settings import ClusterSettings


@virtual_time
async def test_a_failing_cid_tells_why_backs_off_and_recovers_by_itself() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        info = await reaches(cluster, cid(1), Status.PIN_ERROR, 5)
        assert (info.error, info.attempts) == ("no providers found", 1)
        assert info.retry_at is not None
        assert 7 <= info.retry_at - wall_clock() <= 13
        await asyncio.sleep(3600)
        tried = len(world.machines[0].pins.walks)
        assert 7 <= tried <= 12  # 10 s, doubling: about nine in the first hour
        world.missing.clear()
        await reaches(cluster, cid(1), Status.PINNED, 2 * 3600)
        assert world.machines[0].attempts.rows == {}
        assert (await status(cluster, cid(1))).attempts == 0


@virtual_time
async def test_hopeless_cids_do_not_hold_up_others() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=4))
    hopeless = [cid(number) for number in range(100, 120)]
    world.stuck.update(hopeless)
    async with world.member(0) as cluster:
        for wanted in hopeless:
            await cluster.pin(wanted, ALL)
        await asyncio.sleep(20 * 30 / 3 + 60)  # each fails for the first time; one worker is at retries
        assert await failed(cluster, hopeless)
        for number in range(20):
            await cluster.pin(cid(number), ALL)
        start = wall_clock()
        await until(lambda: pinned(cluster, [cid(number) for number in range(20)]), 3600)
        # 20 pins of 10 s on the two workers that retries leave them, after one stuck walk at most
        assert wall_clock() - start < 120 + 20 * 10 / 2 + 10
        assert world.machines[0].pins.busiest <= 4


@virtual_time
async def test_attempts_and_walks_survive_a_restart() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await cluster.pin(cid(2), ALL)
        await asyncio.sleep(5.5)
        before = await reaches(cluster, cid(1), Status.PIN_ERROR, 5)
    async with world.member(0) as cluster:
        after = await status(cluster, cid(1))
        assert (after.status, after.attempts, after.error) == (Status.PIN_ERROR, 1, before.error)
        assert after.retry_at == before.retry_at
        await reaches(cluster, cid(2), Status.PINNED, 6)  # five blocks were here
        await until(lambda: attempts(cluster, cid(1), 2), 60)


@virtual_time
async def test_a_full_disk_ends_nothing() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    world.machines[0].attempts.full = True
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await cluster.pin(cid(2), ALL)
        await reaches(cluster, cid(2), Status.PINNED)
        assert (await status(cluster, cid(1))).status is Status.UNEXPECTEDLY_UNPINNED
        world.missing.clear()
        await reaches(cluster, cid(1), Status.PINNED, 320)


@virtual_time
async def test_an_attempt_of_the_other_kind_does_not_delay() -> None:
    world = MemoryCluster(1)
    world.shared.pins[cid(1)] = everywhere(1)
    old = Attempt(cid(1), OperationKind.UNPIN, 9, "refused", EPOCH, EPOCH + 3000)
    world.machines[0].attempts.rows[cid(1)] = old
    async with world.member(0) as cluster:
        info = await reaches(cluster, cid(1), Status.PINNED, 15)
        assert info.attempts == 0
