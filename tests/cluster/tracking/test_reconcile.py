"""Reconciliation: what no event told is found, and nothing is given up that no member removed."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid, until
from support.tracked_pins import ALL, OLD, everywhere, gone, listed, pinned, reaches, status

from cluster.errors import NotPinned
from cluster.pin import Status
from cluster.settings import ClusterSettings
from cluster.tracking.operation import Lane
from cluster.tracking.status import EVERY_STATUS


@virtual_time
async def test_reconciling_finds_what_no_event_told() -> None:
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
async def test_a_pin_that_is_missing_and_was_not_removed_is_kept_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
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
async def test_a_lost_root_is_found_and_fetched_again() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await reaches(cluster, cid(1), Status.PINNED)
        del world.machines[0].pins.roots[cid(1)]
        found = await status(cluster, cid(1))
        assert found.status is Status.UNEXPECTEDLY_UNPINNED
        assert found.error == "the item should be pinned but it is not"
        await reaches(cluster, cid(1), Status.PINNED, 320)


@virtual_time
async def test_more_changes_than_the_queue_holds_are_all_done() -> None:
    settings = ClusterSettings(queue_size=5, concurrent_pins=20)
    world = MemoryCluster(1, settings=settings)
    async with world.member(0) as cluster:
        await asyncio.sleep(15)
        for number in range(200):
            world.shared.pins[cid(number)] = everywhere(number, created=OLD)
            world.shared.changed(cid(number))
        assert cluster.tracking.waiting()[Lane.NORMAL] == 5
        await asyncio.sleep(0.5)  # workers begin
        assert {s for _, s in await listed(cluster, EVERY_STATUS)} == {Status.PIN_QUEUED, Status.PINNING}
        assert len(await listed(cluster, frozenset({Status.PIN_QUEUED, Status.PINNING}))) == 200
        await until(lambda: pinned(cluster, [cid(number) for number in range(200)]), 200)
