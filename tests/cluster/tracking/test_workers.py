"""Workers: which operation is next, when one stalls, and what a bug at one pin leaves of the others."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid
from support.tracked_pins import ALL, OLD, everywhere, listed, reaches

from cluster.pin import Status
from cluster.settings import ClusterSettings


@virtual_time
async def test_no_progress_for_the_time_limit_is_a_failure_but_slow_progress_is_not() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(pin_timeout=1.5))
    world.stuck.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), ALL)
        await cluster.pin(cid(2), ALL)  # ten seconds, but a block each second
        info = await reaches(cluster, cid(1), Status.PIN_ERROR, 5)
        assert info.error == "no progress for 1.5 s: no block came"
        await reaches(cluster, cid(2), Status.PINNED, 10)


@virtual_time
async def test_old_pins_wait_behind_fresh_ones() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=1))
    async with world.member(0) as cluster:
        for number in range(10):
            world.shared.pins[cid(number)] = everywhere(number, created=OLD)
            world.shared.changed(cid(number))
        await cluster.pin(cid(99), ALL)
        await reaches(cluster, cid(99), Status.PINNED, 25)


@virtual_time
async def test_a_bug_met_at_one_pin_is_counted_and_leaves_the_others_to_be_pinned() -> None:
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
