"""Pins of members that are gone are placed anew: after the grace period, by one member, at a rate."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid, settled_as, until, wall_clock
from support.pinned_together import TWO, forgotten, keep, seed, shown

from cluster.allocation.absence import AbsenceDetector
from cluster.interfaces import Duty, PinQuery
from cluster.metrics.metric_store import PING
from cluster.pin import PinOptions, Status
from cluster.settings import ClusterSettings


@virtual_time
async def test_a_lost_member_is_replaced_after_the_grace_period_and_not_before() -> None:
    world = MemoryCluster(4)
    async with AsyncExitStack() as living, AsyncExitStack() as doomed:
        clusters = [await living.enter_async_context(world.member(n)) for n in (0, 1, 2)]
        await doomed.enter_async_context(world.member(3))
        await asyncio.sleep(2)
        lost, kept = world.peers[3], world.peers[0]
        pin = await clusters[0].pin(cid(1), TWO._replace(user_allocations=(lost, kept)))
        spare = await clusters[0].pin(
            cid(2), PinOptions(replication_min=1, replication_max=2, user_allocations=(lost, kept))
        )
        assert set(pin.allocations) == set(spare.allocations) == {lost, kept}
        await settled_as(clusters[0], cid(1), Status.PINNED, [lost, kept])
        await doomed.aclose()
        await asyncio.sleep(290)
        assert (await clusters[0].get_pin(cid(1))).allocations == pin.allocations
        writes = world.shared.writes
        await asyncio.sleep(90)
        moved = await clusters[0].get_pin(cid(1))
        assert kept in moved.allocations
        assert lost not in moved.allocations
        assert len(moved.allocations) == 2
        assert await clusters[0].get_pin(cid(2)) == spare  # not below its minimum
        assert world.shared.writes == writes + 1  # one member did it, once
        await settled_as(clusters[1], cid(1), Status.PINNED, moved.allocations, 60)
        assert [alert.metric.peer for alert in clusters[0].metrics.alerts() if alert.metric.name == PING] == [
            lost
        ]
        async with world.member(3):  # comes back: it lets go of what is held elsewhere
            await until(lambda: forgotten(world, 3, cid(1)), 400)
            assert cid(2) in world.machines[3].pins.roots


@virtual_time
async def test_a_member_that_was_removed_is_replaced_at_once() -> None:
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(20)
        seed(world, 1, [world.peers[1], world.peers[2]])
        await world.members.remove(world.peers[2])

        async def moved() -> bool:
            return set((await first.get_pin(cid(1))).allocations) == set(world.peers[:2])

        await until(moved, 40)


@virtual_time
async def test_a_member_that_is_cut_off_moves_nothing() -> None:
    world = MemoryCluster(4)
    for number in range(5):
        seed(world, number, world.peers[1:3], low=1, high=1)
    async with world.member(0):
        await asyncio.sleep(3600)
        assert world.shared.writes == 0


@virtual_time
async def test_relocation_keeps_to_its_rate() -> None:
    world = MemoryCluster(3, settings=ClusterSettings(repin_rate=2.0))
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(2)
        for number in range(100):
            seed(world, number, [world.peers[2]], low=1, high=1)
        start = wall_clock()

        async def moved() -> bool:
            return await first.pinset.count(PinQuery(held_by=world.peers[2])) == 0

        await until(moved, 1000)
        assert wall_clock() - start - 300 >= 100 / 2 / 2  # two members share the work


@virtual_time
async def test_a_moved_pin_is_kept_until_its_new_holder_has_it() -> None:
    world = MemoryCluster(2)
    world.stuck.add(cid(1))
    one = PinOptions(replication_min=1, replication_max=1)
    seed(world, 1, [world.peers[0]], low=1, high=1)
    keep(world, 0, [1])
    async with world.all() as clusters:
        await asyncio.sleep(2)
        await clusters[0].pin(cid(1), one._replace(user_allocations=(world.peers[1],)))
        await asyncio.sleep(200)
        assert cid(1) in world.machines[0].pins.roots
        assert shown(await clusters[0].statuses.one(cid(1)))[world.peers[0]] is Status.REMOTE
        assert world.peers[0] in world.machines[1].pins.hints[cid(1)]
        world.stuck.clear()
        await settled_as(clusters[0], cid(1), Status.PINNED, [world.peers[1]], 4000)
        await until(lambda: forgotten(world, 0, cid(1)), 4000)


def test_silence_counts_from_when_it_was_noticed_and_ends_with_a_sign_of_life() -> None:
    absence = AbsenceDetector(grace=100)
    assert absence.observe(["a", "b"], ["a"], 0) == frozenset()
    assert absence.observe(["a", "b"], ["a"], 99) == frozenset()
    assert absence.observe(["a", "b"], ["a"], 100) == {"b"}
    assert absence.observe(["a", "b"], ["a", "b"], 101) == frozenset()
    assert absence.observe(["a", "b"], ["a"], 150) == frozenset()
    assert absence.observe(["a"], ["a"], 900) == frozenset(), "who was removed is listed by the members"


@virtual_time
async def test_a_bug_met_at_one_pin_keeps_no_other_from_being_placed_anew() -> None:
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(20)
        for number in (1, 2, 3):
            seed(world, number, [world.peers[1], world.peers[2]])
        world.shared.odd.add(cid(2))
        await world.members.remove(world.peers[2])
        await asyncio.sleep(100)
        moved = [set((await first.get_pin(cid(number))).allocations) for number in (1, 2, 3)]
        assert moved == [set(world.peers[:2]), {world.peers[1], world.peers[2]}, set(world.peers[:2])]
        assert world.guard.failures


@virtual_time
async def test_the_pins_of_a_member_that_was_removed_while_nobody_ran_are_placed_anew() -> None:
    world = MemoryCluster(3)
    seed(world, 1, [world.peers[1], world.peers[2]])
    await world.members.remove(world.peers[2])
    async with world.member(0) as first, world.member(1):

        async def moved() -> bool:
            return set((await first.get_pin(cid(1))).allocations) == set(world.peers[:2])

        # The first look may come before the other member's metrics; the next one comes then.
        await until(moved, world.settings.reconcile_interval + 60)


@virtual_time
async def test_of_a_member_that_was_removed_all_pins_go_back_to_their_maximum() -> None:
    world = MemoryCluster(4)
    async with AsyncExitStack() as living:
        first, *_ = [await living.enter_async_context(world.member(n)) for n in (0, 1, 2)]
        await asyncio.sleep(20)
        seed(world, 1, [world.peers[1], world.peers[3]], low=1, high=2)
        await asyncio.sleep(1000)
        assert (await first.get_pin(cid(1))).allocations == (world.peers[1], world.peers[3])
        await world.members.remove(world.peers[3])

        async def placed() -> bool:
            holders = (await first.get_pin(cid(1))).allocations
            return len(holders) == 2 and world.peers[3] not in holders

        await until(placed, 400)


@virtual_time
async def test_a_repair_stops_when_its_member_is_back() -> None:
    world = MemoryCluster(4, settings=ClusterSettings(repin_rate=0.1))
    async with AsyncExitStack() as living:
        first, *_ = [await living.enter_async_context(world.member(n)) for n in (0, 1, 2)]
        for number in range(60):
            seed(world, number, [world.peers[1], world.peers[3]])
        await asyncio.sleep(400)
        moved = 60 - await first.pinset.count(PinQuery(allocated_to=world.peers[3]))
        assert 0 < moved < 60
        await living.enter_async_context(world.member(3))
        await asyncio.sleep(60)
        writes = world.shared.writes
        await asyncio.sleep(2000)
        assert world.shared.writes == writes


@virtual_time
async def test_a_member_that_is_held_is_waited_for() -> None:
    world = MemoryCluster(3)
    async with world.member(0), world.member(1):
        seed(world, 1, [world.peers[1], world.peers[2]])
        await world.members.set_duty(world.peers[2], Duty.HELD)
        await asyncio.sleep(3600)
        assert world.shared.writes == 0
        await world.members.set_duty(world.peers[2], Duty.OPEN)
        await asyncio.sleep(400)
        assert world.shared.writes == 1
