"""Expired pins are removed by one member, whose clock is like the others'."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, wall_clock
from support.pinned_together import seed

from cluster.pin import PinOptions


@virtual_time
async def test_an_expired_pin_is_removed_once_by_one_member() -> None:
    world = MemoryCluster(3)
    async with world.all() as clusters:
        await clusters[0].pin(cid(1), PinOptions(expire_at=wall_clock() + 100))
        await clusters[0].pin(cid(2), PinOptions(expire_at=wall_clock() + 10**6))
        await clusters[0].pin(cid(3), PinOptions())
        await asyncio.sleep(90)
        assert await clusters[1].get_pin(cid(1))
        writes = world.shared.writes
        await asyncio.sleep(100)
        assert [pin.cid async for pin in clusters[1].pinset.pins()] == [cid(2), cid(3)]
        assert world.shared.writes == writes + 1


@virtual_time
async def test_a_clock_far_ahead_lets_no_pin_expire() -> None:
    world = MemoryCluster(1 + 2)
    world.machines[0].clock_offset = 86_400.0
    async with world.member(0) as ahead, world.member(1), world.member(2):
        await asyncio.sleep(2)
        for number in range(20):
            seed(world, number, world.peers)
            pin = world.shared.pins[cid(number)]
            expiring = pin.options._replace(expire_at=EPOCH + 3600)
            world.shared.pins[cid(number)] = pin._replace(options=expiring)
        await asyncio.sleep(1800)
        assert await ahead.pinset.count() == 20
        await asyncio.sleep(2000)
        assert await ahead.pinset.count() < 20


@virtual_time
async def test_a_bug_met_at_one_pin_keeps_no_other_from_expiring() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        for number in (1, 2, 3):
            await cluster.pin(cid(number), PinOptions(expire_at=wall_clock() + 100))
        world.shared.odd.add(cid(2))
        await asyncio.sleep(600)
        assert [pin.cid async for pin in cluster.pinset.pins()] == [cid(2)]
        assert 5 < world.guard.failures < 12, "once a pass"
        world.shared.odd.clear()
        await asyncio.sleep(100)
        assert await cluster.pinset.count() == 0
