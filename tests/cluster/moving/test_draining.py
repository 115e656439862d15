"""A drained member is emptied, and no pin has fewer copies than before at any moment."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid, until
from support.moved_pins import copies, never_fewer, spread
from support.pinned_together import TWO

from cluster.cluster import Cluster
from cluster.errors import CannotDrain, NotEnoughPeers, ReadOnlyMember, UnknownMember
from cluster.interfaces import Duty, Member, PinQuery
from cluster.pin import PinOptions
from cluster.settings import ClusterSettings


def member(world: MemoryCluster, number: int) -> Member:
    return world.members.members()[number]


async def empties(world: MemoryCluster, cluster: Cluster, machine: int, seconds: float = 600) -> None:
    async def empty() -> bool:
        left = await cluster.pinset.count(PinQuery(allocated_to=world.peers[machine]))
        return not left and not world.machines[machine].pins.roots

    await until(empty, seconds)


@virtual_time
@pytest.mark.parametrize("asked", [0, 2])
async def test_all_pins_go_elsewhere_and_none_is_short_of_a_copy_meanwhile(asked: int) -> None:
    world = MemoryCluster(4)
    numbers = spread(world, 20, [1, 2])
    async with world.all() as clusters:
        await asyncio.sleep(20)
        plan = await clusters[asked].drains.plan(member(world, 2))
        assert (plan.total, sum(tally.pins for tally in plan.to.values())) == (20, 20)
        assert plan.to.keys() <= {world.peers[0], world.peers[3]}
        async with never_fewer(world, numbers, 2):
            await clusters[asked].drains.drain(member(world, 2))
            await empties(world, clusters[0], 2)
        assert all(len(copies(world, number)) == 2 for number in numbers)
        pin = await clusters[2].pin(cid(99), TWO, priority_peers=[world.peers[2]])
        assert world.peers[2] not in pin.allocations
        await clusters[1].drains.drain(member(world, 2))  # again: nothing new
        await clusters[1].drains.undo(member(world, 2))
        assert world.members.duty(world.peers[2]) is Duty.OPEN
        writes = world.shared.writes
        await asyncio.sleep(600)
        assert world.shared.writes == writes, "it is quiet in the end"


@virtual_time
async def test_pins_with_a_range_of_copies_go_back_to_their_maximum() -> None:
    world = MemoryCluster(5)
    numbers = spread(world, 10, [1, 2], low=1, high=3)
    async with world.all() as clusters:
        await asyncio.sleep(20)
        async with never_fewer(world, numbers, 2):
            await clusters[0].drains.drain(member(world, 2))
            await empties(world, clusters[0], 2)
        assert all(len(copies(world, number)) == 3 for number in numbers)


@virtual_time
async def test_while_another_holder_is_away_for_a_moment_its_pins_wait_for_it() -> None:
    world = MemoryCluster(4)
    numbers = spread(world, 5, [1, 2])
    async with AsyncExitStack() as stack:
        first, second, _ = [await stack.enter_async_context(world.member(number)) for number in (0, 2, 3)]
        await asyncio.sleep(20)
        async with never_fewer(world, numbers, 2):
            await first.drains.drain(member(world, 2))
            await asyncio.sleep(200)
            assert await second.pinset.count(PinQuery(allocated_to=world.peers[2])) == 5
            await stack.enter_async_context(world.member(1))
            await empties(world, first, 2)
        assert all(1 in copies(world, number) for number in numbers), "what it has it keeps"


@virtual_time
async def test_a_holder_that_is_gone_for_long_is_replaced_in_the_same_go() -> None:
    world = MemoryCluster(5, settings=ClusterSettings(repin_grace=60))
    spread(world, 5, [1, 2])
    async with AsyncExitStack() as stack:
        first, *_ = [await stack.enter_async_context(world.member(number)) for number in (0, 2, 3, 4)]
        await asyncio.sleep(20)
        await first.drains.drain(member(world, 2))
        await empties(world, first, 2, 1200)
        assert all(len(copies(world, number) - {1}) == 2 for number in range(5))


@virtual_time
async def test_where_no_other_member_can_hold_them_nothing_moves_and_it_is_said_why() -> None:
    world = MemoryCluster(3)
    numbers = spread(world, 3, [0, 1])
    world.machines[2].free = 0
    async with world.all() as clusters:
        await asyncio.sleep(20)
        with pytest.raises(CannotDrain, match=r"3 pins: not enough peers .* 1 without free space"):
            await clusters[0].drains.drain(member(world, 1))
        assert world.members.drained() == frozenset()
        await asyncio.sleep(600)
        assert all(copies(world, number) == {0, 1} for number in numbers)
        assert world.shared.writes == 0


@virtual_time
async def test_the_last_member_that_takes_pins_cannot_be_drained() -> None:
    world = MemoryCluster(2)
    async with world.all() as clusters:
        await asyncio.sleep(20)
        await clusters[0].drains.drain(member(world, 0))
        with pytest.raises(CannotDrain, match="the only member that takes new pins"):
            await clusters[0].drains.drain(member(world, 1))


@virtual_time
async def test_what_can_go_goes_and_what_no_other_can_hold_stays_whole_until_there_is_room() -> None:
    world = MemoryCluster(3)
    spread(world, 4, [0, 1])
    big = world.shared.pins[cid(3)]
    world.shared.pins[cid(3)] = big._replace(size=10**9)
    world.machines[2].free = 10**8
    async with world.all() as clusters:
        await asyncio.sleep(20)
        plan = await clusters[0].drains.drain(member(world, 1))
        assert sum(plan.staying.values()) == 1
        await asyncio.sleep(200)
        assert [1 in copies(world, number) for number in range(4)] == [False, False, False, True]
        world.machines[2].free = 10**12
        await empties(world, clusters[0], 1, 900)
        assert copies(world, 3) == {0, 2}


@virtual_time
async def test_a_drain_that_is_held_goes_on_when_it_is_let() -> None:
    world = MemoryCluster(3)
    spread(world, 3, [0, 1])
    async with world.all() as clusters:
        await asyncio.sleep(20)
        await clusters[0].drains.drain(member(world, 1))
        await world.members.set_duty(world.peers[1], Duty.DRAIN_HELD)
        await asyncio.sleep(300)
        assert all(1 in copies(world, number) for number in range(3))
        with pytest.raises(NotEnoughPeers, match="being drained"):
            await clusters[0].pin(cid(50), PinOptions(replication_min=3, replication_max=3))
        await world.members.set_duty(world.peers[1], Duty.DRAIN)
        await empties(world, clusters[0], 1)


@virtual_time
async def test_pins_for_everywhere_stay_and_are_counted_and_wishes_for_the_member_are_passed_over() -> None:
    world = MemoryCluster(3)
    async with world.all() as clusters:
        await asyncio.sleep(20)
        await clusters[0].pin(cid(1), PinOptions())
        named = TWO._replace(user_allocations=(world.peers[1], world.peers[2]))
        await clusters[0].pin(cid(2), named)
        await asyncio.sleep(60)
        plan = await clusters[0].drains.drain(member(world, 1))
        assert (plan.everywhere, plan.total) == (1, 1)
        await asyncio.sleep(100)
        assert copies(world, 1) == {0, 1, 2}
        assert copies(world, 2) == {0, 2}
        assert (await clusters[0].get_pin(cid(2))).options.user_allocations == named.user_allocations


@virtual_time
async def test_who_may_not_write_drains_nobody_and_an_unknown_member_is_an_error() -> None:
    world = MemoryCluster(3, followers=[2])
    async with world.all() as clusters:
        await asyncio.sleep(20)
        with pytest.raises(UnknownMember):
            clusters[0].peers.find("nobody")
        with pytest.raises(ReadOnlyMember):
            await clusters[2].drains.drain(member(world, 1))
        with pytest.raises(ReadOnlyMember):
            await clusters[2].drains.undo(member(world, 1))
        assert world.members.drained() == frozenset()
