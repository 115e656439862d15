"""One member's tracker: wishes become pins, callers wait for theirs, and each status can be asked for."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid, until, wall_clock
from support.tracked_pins import ALL, OLD, everywhere, gone, listed, pinned, reaches, status

from cluster.cluster import Cluster
from cluster.errors import QueueFull
from cluster.pin import Progress, Status
from cluster.ports import LocalPin, PinFailed
from cluster.settings import ClusterSettings
from cluster.tracking.status import EVERY_STATUS


async def failed_both(cluster: Cluster) -> bool:
    return all([(await status(cluster, cid(number))).status is Status.PIN_ERROR for number in (1, 2)])


@virtual_time
async def test_a_pin_goes_from_queued_over_pinning_to_pinned_with_progress() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        assert (await status(cluster, cid(1))).status is Status.PIN_QUEUED
        await asyncio.sleep(3.5)
        info = await status(cluster, cid(1))
        assert (info.status, info.progress, info.priority) == (Status.PINNING, Progress(3, 3000, 7), True)
        info = await reaches(cluster, cid(1), Status.PINNED, 10)
        assert info.progress == Progress(10, 10_000, 0)


@virtual_time
async def test_an_unpinned_cid_leaves_the_store() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await reaches(cluster, cid(1), Status.PINNED)
        await cluster.unpin(cid(1))
        await until(lambda: gone(world, cid(1)), 10)
        assert (await status(cluster, cid(1))).status is Status.UNPINNED


@virtual_time
async def test_unpinning_stops_a_walk_and_pinning_again_goes_on_with_it() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await asyncio.sleep(2.5)
        await cluster.unpin(cid(1))
        await until(lambda: gone(world, cid(1)), 5)
        assert world.machines[0].pins.busy == 0
        await cluster.pin(cid(1), ALL)
        await reaches(cluster, cid(1), Status.PINNED, 15)


@virtual_time
async def test_unpin_and_pin_again_while_walking_ends_pinned() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await asyncio.sleep(2.5)
        await cluster.unpin(cid(1))
        await cluster.pin(cid(1), ALL._replace(name="again"))
        await reaches(cluster, cid(1), Status.PINNED, 15)
        assert cid(1) in world.machines[0].pins.roots


@virtual_time
async def test_recover_tries_again_at_once() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await reaches(cluster, cid(1), Status.PIN_ERROR)
        world.missing.clear()
        assert (await cluster.statuses.recover(cid(1))).peers[world.peers[0]].status is Status.PIN_QUEUED
        await asyncio.sleep(0)
        await reaches(cluster, cid(1), Status.PINNED, 11)


@virtual_time
async def test_recover_all_puts_back_only_what_failed() -> None:
    world = MemoryCluster(1)
    world.missing.update([cid(1), cid(2)])
    async with world.member(0) as cluster:
        for number in range(4):
            await cluster.pin(cid(number), ALL)
        await until(lambda: pinned(cluster, [cid(0), cid(3)]))
        await until(lambda: failed_both(cluster), 600)  # at once: neither is being tried again just now
        back = [info.cid async for info in cluster.statuses.recover_all(local=True)]
        assert back == [cid(1), cid(2)]


@virtual_time
async def test_recover_says_so_when_too_much_is_waiting() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(queue_size=1, concurrent_pins=1))
    world.stuck.add(cid(9))
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await reaches(cluster, cid(1), Status.PIN_ERROR)
        for number in (9, 8, 7):
            world.shared.pins[cid(number)] = everywhere(number, created=OLD)
            world.shared.changed(cid(number))
            await asyncio.sleep(0.01)
        with pytest.raises(QueueFull, match="retried later"):
            await cluster.tracking.recover(cid(1))


@virtual_time
async def test_listing_pages_through_every_status_in_order() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(5))
    for number in range(40):
        world.shared.pins[cid(number)] = everywhere(number, created=OLD)
        if number % 2:
            world.machines[0].pins.roots[cid(number)] = LocalPin(cid(number), True, 10, 10_000)
    del world.machines[0].pins.roots[cid(5)]
    async with world.member(0) as cluster:
        await asyncio.sleep(5)
        rows, after = [], None
        while True:
            page = await cluster.tracking.page(EVERY_STATUS, after, limit=7)
            assert len(page.rows) <= 7
            rows += [(row.cid, row.info.status) for row in page.rows]
            after = page.after
            if after is None:
                break
        assert [one for one, _ in rows] == [cid(number) for number in range(40)]
        assert dict(rows)[cid(7)] is Status.PINNED
        assert dict(rows)[cid(5)] is Status.PIN_ERROR
        assert await listed(cluster, frozenset({Status.PIN_ERROR})) == [(cid(5), Status.PIN_ERROR)]
        assert len(await listed(cluster, frozenset({Status.PINNED}))) == 19


@virtual_time
async def test_what_a_caller_waits_for_does_not_wait_behind_others() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=1, queue_size=5))
    async with world.member(0) as cluster:
        for number in range(100):
            await cluster.pin(cid(number), ALL)
        start = wall_clock()
        await asyncio.gather(*(cluster.tracking.pinned(cid(number)) for number in range(90, 100)))
        assert wall_clock() - start == 10  # that of one walk
        assert await pinned(cluster, [cid(number) for number in range(90, 100)])
        assert not await pinned(cluster, [cid(80)])


@virtual_time
async def test_one_that_runs_is_waited_for_and_not_walked_twice() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await asyncio.sleep(3.5)
        await cluster.tracking.pinned(cid(1))
        await cluster.tracking.pinned(cid(1))
        assert world.machines[0].pins.walks == [cid(1)]


@virtual_time
async def test_the_caller_hears_why_a_walk_failed_and_it_is_tried_again() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        with pytest.raises(PinFailed, match="no providers found"):
            await cluster.tracking.pinned(cid(1))
        assert (await status(cluster, cid(1))).status is Status.PIN_ERROR
        world.missing.clear()
        await reaches(cluster, cid(1), Status.PINNED)


@virtual_time
async def test_one_that_failed_for_want_of_blocks_that_have_come_since_is_walked_once_more() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await asyncio.sleep(0.5)
        waiting = asyncio.create_task(cluster.tracking.pinned(cid(1)))
        await asyncio.sleep(0.6)  # the first walk has failed
        world.missing.clear()
        await waiting
        assert (await status(cluster, cid(1))).status is Status.PINNED


@virtual_time
@pytest.mark.parametrize("after", [0.0, 3.5])
async def test_a_caller_that_waits_hears_that_the_pin_was_removed(after: float) -> None:
    world = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(9), ALL)
        await cluster.pin(cid(1), ALL)
        waiting = asyncio.create_task(cluster.tracking.pinned(cid(1)))
        await asyncio.sleep(after)
        await cluster.unpin(cid(1))
        with pytest.raises(PinFailed, match="it was unpinned meanwhile"):
            await waiting
        await until(lambda: gone(world, cid(1)), 60)


@virtual_time
async def test_a_caller_that_leaves_does_not_end_the_walk() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=1))
    async with world.member(0) as cluster:
        for number in (1, 2):
            await cluster.pin(cid(number), ALL)
        waiting = asyncio.create_task(cluster.tracking.pinned(cid(2)))
        await asyncio.sleep(1.5)
        waiting.cancel()
        await reaches(cluster, cid(2), Status.PINNED, 9)


@virtual_time
async def test_a_failure_that_cannot_be_noted_reaches_the_caller() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    world.machines[0].attempts.full = True
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        with pytest.raises(PinFailed, match="no providers found"):
            await cluster.tracking.pinned(cid(1))


@virtual_time
async def test_who_waits_for_removals_waits_for_those_noticed_before_and_for_no_fetch() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        for number in range(3):
            await cluster.pin(cid(number), ALL)
        await reaches(cluster, cid(0), Status.PINNED, 60)
        await reaches(cluster, cid(1), Status.PINNED, 60)
        await cluster.pin(cid(7), ALL)
        await cluster.unpin(cid(0))
        async with asyncio.timeout(1):
            await cluster.tracking.removals_done()
        assert await gone(world, cid(0))
        assert not await gone(world, cid(1))


@virtual_time
async def test_a_removal_that_stops_a_walk_is_waited_for() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await asyncio.sleep(2.5)
        await cluster.unpin(cid(1))
        await cluster.tracking.removals_done()
        assert await gone(world, cid(1))


@virtual_time
async def test_removals_that_found_no_room_in_the_queue_are_done_all_the_same() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(queue_size=4))
    numbers = range(20)
    async with world.member(0) as cluster:
        for number in numbers:
            await cluster.pin(cid(number), ALL)
            await reaches(cluster, cid(number), Status.PINNED)
        await cluster.unpin_many([cid(number) for number in numbers])
        await cluster.tracking.removals_done()
        assert all([await gone(world, cid(number)) for number in numbers])
