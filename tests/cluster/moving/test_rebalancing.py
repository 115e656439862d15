"""Pins go to members that have more room than they use, and it ends; none has fewer copies meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, until
from support.moved_pins import copies, never_fewer, spread

from cluster.errors import ReadOnlyMember, RebalanceRuns
from cluster.moving.rebalancing import Rebalance
from cluster.pin import PinOptions
from cluster.settings import ClusterSettings


def named(world: MemoryCluster) -> Counter[int]:
    """How many pins name each machine."""
    return Counter(world.peers.index(peer) for pin in world.shared.pins.values() for peer in pin.allocations)


async def ended(clusters_current: Rebalance | None) -> bool:
    return clusters_current is not None and clusters_current.ended is not None


@virtual_time
async def test_a_member_that_joined_gets_its_share_and_then_it_is_quiet() -> None:
    world = MemoryCluster(3)
    numbers = spread(world, 60, [0, 1])
    async with world.all() as clusters:
        await asyncio.sleep(20)
        plan = await clusters[0].rebalancing.plan()
        assert {target for _, target in plan.moves} == {world.peers[2]}
        assert 36 <= plan.pins <= 40
        assert max(plan.after.values()) < 1.2 * min(plan.after.values())
        assert named(world) == {0: 60, 1: 60}
        async with never_fewer(world, numbers, 2):
            await clusters[0].rebalancing.begin()
            with pytest.raises(RebalanceRuns):
                await clusters[0].rebalancing.begin()
            await until(lambda: ended(clusters[0].rebalancing.current), 900)
        assert all(36 <= count <= 44 for count in named(world).values())
        await asyncio.sleep(200)
        assert all(len(copies(world, number)) == 2 for number in numbers)
        assert not (await clusters[1].rebalancing.plan()).moves
        writes = world.shared.writes
        await clusters[1].rebalancing.begin()
        await asyncio.sleep(100)
        assert world.shared.writes == writes


@virtual_time
async def test_a_member_whose_disk_is_full_is_relieved_and_gets_nothing() -> None:
    world = MemoryCluster(3)
    spread(world, 30, [0, 1])
    world.machines[0].free = 0
    world.machines[1].free = world.machines[2].free = 10**9
    async with world.all() as clusters:
        await asyncio.sleep(20)
        await clusters[1].rebalancing.begin()
        await until(lambda: ended(clusters[1].rebalancing.current), 900)
        assert named(world)[0] < 5


@virtual_time
async def test_what_has_named_holders_or_is_for_everywhere_stays_and_tags_stay_apart() -> None:
    world = MemoryCluster(3)
    spread(world, 10, [0, 1])
    options = PinOptions(replication_min=2, replication_max=2, user_allocations=tuple(world.peers[:2]))
    for number in range(10):
        pin = world.shared.pins[cid(number)]
        world.shared.pins[cid(number)] = pin._replace(options=options)
    async with world.all() as clusters:
        await clusters[0].pin(cid(50), PinOptions())
        await asyncio.sleep(20)
        plan = await clusters[0].rebalancing.plan()
        assert (plan.pins, plan.fixed) == (0, 11)


@virtual_time
async def test_one_that_is_paused_stands_still_and_goes_on_as_after_a_restart() -> None:
    world = MemoryCluster(3, settings=ClusterSettings(repin_rate=1))
    spread(world, 60, [0, 1])
    async with world.all() as clusters:
        await asyncio.sleep(20)
        await clusters[0].rebalancing.begin()
        await asyncio.sleep(15)
        clusters[0].rebalancing.pause(True)
        await asyncio.sleep(5)
        writes = world.shared.writes
        assert writes > 0
        await asyncio.sleep(300)
        assert world.shared.writes == writes
    async with world.all() as clusters:
        await asyncio.sleep(20)
        clusters[0].rebalancing.go_on(Rebalance(EPOCH, 40, moved=3))
        await until(lambda: ended(clusters[0].rebalancing.current), 900)
        assert all(36 <= count <= 44 for count in named(world).values())
        assert all(len(pin.allocations) == 2 for pin in world.shared.pins.values())


@virtual_time
async def test_one_that_is_cancelled_moves_no_more_and_a_follower_begins_none() -> None:
    world = MemoryCluster(3, followers=[2], settings=ClusterSettings(repin_rate=1))
    spread(world, 60, [0, 1])
    async with world.all() as clusters:
        await asyncio.sleep(20)
        with pytest.raises(ReadOnlyMember):
            await clusters[2].rebalancing.begin()
        await clusters[0].rebalancing.begin()
        await asyncio.sleep(15)
        clusters[0].rebalancing.cancel()
        await asyncio.sleep(5)
        writes = world.shared.writes
        await asyncio.sleep(300)
        assert world.shared.writes == writes
