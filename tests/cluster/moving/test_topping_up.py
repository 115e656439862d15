"""A pin that found few members gets more of them when there are some, and not again and again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid
from support.moved_pins import copies

from cluster.pin import PinOptions
from cluster.settings import ClusterSettings

OFTEN = ClusterSettings(top_up_interval=300, metric_interval=30)


@virtual_time
async def test_a_pin_gets_the_holders_that_it_may_have_when_they_come() -> None:
    world = MemoryCluster(3, settings=OFTEN)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(world.member(0))
        await asyncio.sleep(5)
        await first.pin(cid(1), PinOptions(replication_min=1, replication_max=2))
        assert len((await first.get_pin(cid(1))).allocations) == 1
        await stack.enter_async_context(world.member(1))
        await asyncio.sleep(1000)
        assert copies(world, 1) == {0, 1}
        writes = world.shared.writes
        await stack.enter_async_context(world.member(2))
        await asyncio.sleep(2000)
        assert world.shared.writes == writes


@virtual_time
async def test_what_waits_for_a_member_that_is_away_is_not_topped_up() -> None:
    world = MemoryCluster(4, settings=OFTEN)
    async with AsyncExitStack() as stack:
        first, *_ = [await stack.enter_async_context(world.member(number)) for number in (0, 1, 2)]
        async with world.member(3):
            await asyncio.sleep(70)
            wish = PinOptions(replication_min=1, replication_max=2, user_allocations=(world.peers[3],))
            await first.pin(cid(1), wish)
            await asyncio.sleep(60)
        writes = world.shared.writes
        await asyncio.sleep(2000)
        assert world.shared.writes == writes
