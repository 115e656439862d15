"""A copy of a pin that was moved is let go of only while enough others have it, and promise to keep it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid, until
from support.pinned_together import forgotten, keep, seed

from cluster.calls.codec import decode_held, encode_held
from cluster.errors import BadUpdate
from cluster.settings import ClusterSettings
from cluster.tracking.leases import LEASE, MAX_LEASES, Copy, Leases

NOTHING_IS_REPAIRED = ClusterSettings(repin_grace=10**9)


def test_who_relies_on_another_is_not_relied_on() -> None:
    one, other = Leases(0.0), Leases(0.0)
    now = LEASE
    assert one.leave([cid(1)], now) == {cid(1)}
    assert not one.grant(cid(1), now), "it is about to go"
    assert other.grant(cid(1), now)
    assert other.leave([cid(1)], now + LEASE - 1) == frozenset(), "it promised to stay"
    assert other.leave([cid(1)], now + LEASE) == {cid(1)}
    one.stay([cid(1)])
    assert one.grant(cid(1), now + LEASE)


def test_a_promise_of_before_a_restart_is_kept_and_there_are_only_so_many() -> None:
    leases = Leases(100.0)
    assert leases.leave([cid(1)], 100.0 + LEASE - 1) == frozenset()
    assert all(leases.grant(cid(number), 100.0) for number in range(MAX_LEASES))
    assert not leases.grant(cid(MAX_LEASES), 100.0)
    assert leases.grant(cid(7), 100.0), "one that there is can be made longer"
    assert leases.grant(cid(MAX_LEASES), 100.0 + LEASE), "those that have ended make room"


def test_answers_of_another_number_or_form_are_refused() -> None:
    assert decode_held(encode_held([True, False]), 2) == [True, False]
    for answer in (encode_held([True]), encode_held([True] * 3)):
        with pytest.raises(BadUpdate):
            decode_held(answer, 2)


@virtual_time
async def test_copies_stay_while_no_holder_can_be_asked() -> None:
    world = MemoryCluster(3, settings=NOTHING_IS_REPAIRED)
    seed(world, 1, [world.peers[2]], low=1, high=1)
    keep(world, 0, [1])
    keep(world, 1, [1])
    async with world.member(0), world.member(1):
        await asyncio.sleep(600)
        assert not await forgotten(world, 0, cid(1))
        assert not await forgotten(world, 1, cid(1))


@virtual_time
async def test_as_many_as_the_minimum_have_to_have_it_at_that_moment() -> None:
    world = MemoryCluster(4, settings=NOTHING_IS_REPAIRED)
    seed(world, 1, world.peers[1:], low=2, high=3)
    keep(world, 0, [1])
    keep(world, 1, [1])
    async with AsyncExitStack() as stack:
        for number in (0, 1):
            await stack.enter_async_context(world.member(number))
        await asyncio.sleep(1000)
        assert not await forgotten(world, 0, cid(1)), "one has it, and two are asked for"
        await stack.enter_async_context(world.member(2))  # which fetches it
        await until(lambda: forgotten(world, 0, cid(1)), 200)
        assert (world.peers[2], "pins/lease") in world.machines[0].port.called


@virtual_time
async def test_a_copy_that_is_on_lease_stays_though_its_pin_was_moved() -> None:
    world = MemoryCluster(2)
    seed(world, 1, [world.peers[0]], low=1, high=1)
    keep(world, 0, [1])
    keep(world, 1, [1])
    async with world.all() as clusters:
        await asyncio.sleep(LEASE)
        assert await clusters[0].tracking.lease([Copy(cid(1), True), Copy(cid(2), True)]) == [True, False]
        pin = world.shared.pins[cid(1)]
        world.shared.pins[cid(1)] = pin._replace(allocations=(world.peers[1],))
        world.shared.changed(cid(1))
        await asyncio.sleep(LEASE - 1)
        assert not await forgotten(world, 0, cid(1))
        await until(lambda: forgotten(world, 0, cid(1)), 2 * LEASE)
