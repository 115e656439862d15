"""One member's tracker: wishes become pins, failures do not hold up others, and nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, until, wall_clock

from blockstore.cid import CID
from cluster.cluster import Cluster
from cluster.errors import NotPinned, QueueFull
from cluster.pin import EVERYWHERE, Pin, PinInfo, PinOptions, Progress, Status
from cluster.ports import Attempt, LocalPin, OperationKind, PinFailed
from cluster.settings import ClusterSettings
from cluster.tracking.operation_queue import Lane
from cluster.tracking.status import EVERY_STATUS

ALL = PinOptions()
OLD = EPOCH - 10 * 86_400


async def status(cluster: Cluster, wanted: CID) -> PinInfo:
    return await cluster.tracking.status(wanted)


async def reaches(cluster: Cluster, wanted: CID, expected: Status, seconds: float = 3600) -> PinInfo:
    async def reached() -> bool:
        return (await status(cluster, wanted)).status is expected

    await until(reached, seconds)
    return await status(cluster, wanted)


def everywhere(number: int, created: float = EPOCH) -> Pin:
    options = PinOptions(replication_min=EVERYWHERE, replication_max=EVERYWHERE)
    return Pin(cid(number), options, (), created)


async def failed_both(cluster: Cluster) -> bool:
    return all([(await status(cluster, cid(number))).status is Status.PIN_ERROR for number in (1, 2)])


async def listed(cluster: Cluster, wanted: frozenset[Status]) -> list[tuple[CID, Status]]:
    return [(row.cid, row.info.status) async for row in cluster.tracking.statuses(wanted)]


@virtual_time
async def test_a_pin_goes_from_queued_over_pinning_to_pinned_with_progress():
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
async def test_an_unpinned_cid_leaves_the_store():
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await reaches(cluster, cid(1), Status.PINNED)
        await cluster.unpin(cid(1))
        await until(lambda: gone(world, cid(1)), 10)
        assert (await status(cluster, cid(1))).status is Status.UNPINNED


async def gone(world: MemoryCluster, wanted: CID, machine: int = 0) -> bool:
    return wanted not in world.machines[machine].pins.roots


@virtual_time
async def test_unpinning_stops_a_walk_and_pinning_again_goes_on_with_it():
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
async def test_unpin_and_pin_again_while_walking_ends_pinned():
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await asyncio.sleep(2.5)
        await cluster.unpin(cid(1))
        await cluster.pin(cid(1), replace(ALL, name="again"))
        await reaches(cluster, cid(1), Status.PINNED, 15)
        assert cid(1) in world.machines[0].pins.roots


@virtual_time
async def test_a_failing_cid_tells_why_backs_off_and_recovers_by_itself():
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
async def test_hopeless_cids_do_not_hold_up_others():
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


async def failed(cluster: Cluster, cids: Sequence[CID]) -> bool:
    return all([(await status(cluster, wanted)).attempts > 0 for wanted in cids])


async def pinned(cluster: Cluster, cids: Sequence[CID]) -> bool:
    return all([(await status(cluster, wanted)).status is Status.PINNED for wanted in cids])


@virtual_time
async def test_no_progress_for_the_time_limit_is_a_failure_but_slow_progress_is_not():
    world = MemoryCluster(1, settings=ClusterSettings(pin_timeout=1.5))
    world.stuck.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await cluster.pin(cid(2), ALL)  # ten seconds, but a block each second
        info = await reaches(cluster, cid(1), Status.PIN_ERROR, 5)
        assert info.error == "no progress for 1.5 s: no block came"
        await reaches(cluster, cid(2), Status.PINNED, 10)


@virtual_time
async def test_attempts_and_walks_survive_a_restart():
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


async def attempts(cluster: Cluster, wanted: CID, count: int) -> bool:
    return (await status(cluster, wanted)).attempts == count


@virtual_time
async def test_reconciling_finds_what_no_event_told():
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await asyncio.sleep(20)
        await cluster.pin(cid(3), ALL)
        await reaches(cluster, cid(3), Status.PINNED)
        world.machines[0].view.deaf = True
        world.shared.pins[cid(1)] = everywhere(1)
        await world.machines[0].view.remove(cid(3))
        assert (await status(cluster, cid(1))).status is Status.UNEXPECTEDLY_UNPINNED
        await reaches(cluster, cid(1), Status.PINNED, 320)
        await until(lambda: gone(world, cid(3)), 320)


@virtual_time
async def test_a_pin_that_is_missing_and_was_not_removed_is_kept_and_told(caplog):
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        for number in (1, 2, 3):
            await cluster.pin(cid(number), ALL)
            await reaches(cluster, cid(number), Status.PINNED)
        for number in (1, 2):
            del world.shared.pins[cid(number)]  # with its file
            world.shared.changed(cid(number))
        await cluster.unpin(cid(3))
        await asyncio.sleep(700)
        assert set(world.machines[0].pins.roots) == {cid(1), cid(2)}
        told = [record.getMessage() for record in caplog.records if "nobody removed" in record.getMessage()]
        assert len(told) == 1
        assert f"{cid(1)}, {cid(2)}" in told[0]
        assert (await cluster.unpin(cid(1))).cid == cid(1)
        assert set(world.machines[0].pins.roots) == {cid(2)}
        with pytest.raises(NotPinned):
            await cluster.unpin(cid(1))
        await cluster.pin(cid(2), ALL)
        await reaches(cluster, cid(2), Status.PINNED)


@virtual_time
async def test_a_lost_root_is_found_and_fetched_again():
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await reaches(cluster, cid(1), Status.PINNED)
        del world.machines[0].pins.roots[cid(1)]
        assert (await status(cluster, cid(1))).status is Status.UNEXPECTEDLY_UNPINNED
        await reaches(cluster, cid(1), Status.PINNED, 320)


@virtual_time
async def test_more_changes_than_the_queue_holds_are_all_done():
    settings = ClusterSettings(queue_size=5, concurrent_pins=20)
    world = MemoryCluster(1, settings=settings)
    async with world.member(0) as cluster:
        await asyncio.sleep(15)
        for number in range(200):
            world.shared.pins[cid(number)] = everywhere(number, created=OLD)
            world.shared.changed(cid(number))
        assert cluster.tracking.waiting()[Lane.NORMAL] == 5
        assert {s for _, s in await listed(cluster, EVERY_STATUS)} == {Status.PIN_QUEUED, Status.PINNING}
        assert len(await listed(cluster, frozenset({Status.PIN_QUEUED, Status.PINNING}))) == 200
        await until(lambda: pinned(cluster, [cid(number) for number in range(200)]), 200)


@virtual_time
async def test_old_pins_wait_behind_fresh_ones():
    world = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=1))
    async with world.member(0) as cluster:
        for number in range(10):
            world.shared.pins[cid(number)] = everywhere(number, created=OLD)
            world.shared.changed(cid(number))
        await cluster.pin(cid(99), ALL)
        await reaches(cluster, cid(99), Status.PINNED, 25)


@virtual_time
async def test_recover_tries_again_at_once():
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
async def test_recover_all_puts_back_only_what_failed():
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
async def test_recover_says_so_when_too_much_is_waiting():
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
async def test_a_full_disk_ends_nothing():
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
async def test_an_attempt_of_the_other_kind_does_not_delay():
    world = MemoryCluster(1)
    world.shared.pins[cid(1)] = everywhere(1)
    old = Attempt(cid(1), OperationKind.UNPIN, 9, "refused", EPOCH, EPOCH + 3000)
    world.machines[0].attempts.rows[cid(1)] = old
    async with world.member(0) as cluster:
        info = await reaches(cluster, cid(1), Status.PINNED, 15)
        assert info.attempts == 0


@virtual_time
async def test_listing_pages_through_every_status_in_order():
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
async def test_a_bug_met_at_one_pin_is_counted_and_leaves_the_others_to_be_pinned():
    world = MemoryCluster(1)
    world.broken.add(cid(1))
    async with world.member(0) as cluster:
        for number in (1, 2):
            await cluster.pin(cid(number), ALL)
        await asyncio.sleep(60)
        assert await listed(cluster, frozenset({Status.PINNED})) == [(cid(2), Status.PINNED)]
        info = (await cluster.statuses.one(cid(1))).peers[world.peers[0]]
        assert (info.status, info.attempts > 1) == (Status.PIN_ERROR, True)
        assert "a fault of this program" in info.error
        assert world.guard.failures == info.attempts, "told once an attempt, with growing pauses"
        world.broken.clear()
        await asyncio.sleep(600)
        assert (await cluster.statuses.one(cid(1))).peers[world.peers[0]].status is Status.PINNED


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
