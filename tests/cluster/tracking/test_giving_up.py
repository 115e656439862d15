"""The limits of a pin: members stop trying what no member has, say why, and make copies of what one has."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, wall_clock
from support.tracked_pins import attempts, reaches, status

from cluster.cluster import Cluster
from cluster.errors import BadPinValue
from cluster.pin import EVERYWHERE, GrantAsk, PinInfo, PinOptions, Status, Wish

HOUR = 3600


def limited(**limits: int) -> PinOptions:
    options = PinOptions(replication_min=EVERYWHERE, replication_max=EVERYWHERE)
    return options._replace(**limits)  # type: ignore[arg-type]  # by name, and all of them are int


async def an_hour_later(cluster: Cluster, number: int) -> PinInfo:
    await asyncio.sleep(HOUR)
    return await status(cluster, cid(number))


@virtual_time
async def test_after_so_many_attempts_a_member_stops_also_over_a_restart() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), limited(attempts=3))
        info = await an_hour_later(cluster, 1)
        assert (info.status, info.attempts, info.retry_at) == (Status.PIN_ERROR, 3, None)
        assert info.error == "given up after 3 failed attempts: no providers found"
    async with world.member(0) as cluster:
        assert (await an_hour_later(cluster, 1)).attempts == 3
        assert len(world.machines[0].pins.walks) == 3


@virtual_time
async def test_at_the_deadline_a_member_stops_having_tried_shortly_before() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), limited(deadline=int(EPOCH) + 1200))
        await asyncio.sleep(1200)
        tried = len(world.machines[0].pins.walks)
        info = await an_hour_later(cluster, 1)
        assert (info.status, info.retry_at, info.attempts) == (Status.PIN_ERROR, None, tried)
        assert info.error == "given up, its deadline was 2023-11-14T22:33:20Z: no providers found"
        assert 1200 - 31 <= info.since - EPOCH <= 1200


@virtual_time
async def test_a_walk_ends_at_the_deadline_however_fast_it_is() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), limited(deadline=int(EPOCH) + 5))
        await asyncio.sleep(6)
        info = await status(cluster, cid(1))
        assert (info.status, info.retry_at) == (Status.PIN_ERROR, None)
        assert "not all of it had come by 2023-11-14T22:13:25Z" in info.error
        await cluster.tracking.recover(cid(1))  # goes on with what is here, and is not cut again
        await reaches(cluster, cid(1), Status.PINNED, 10)


@virtual_time
async def test_what_is_too_large_is_not_tried_again() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), limited(max_size=9_999))
        info = await an_hour_later(cluster, 1)
        assert (info.status, info.attempts, info.retry_at) == (Status.PIN_ERROR, 1, None)
        assert info.error == "given up: larger than its limit of 9999 bytes: its root says so"
        await cluster.pin(cid(1), limited(max_size=10_000))
        await reaches(cluster, cid(1), Status.PINNED, 15)


@virtual_time
async def test_of_what_another_member_has_a_copy_is_made_whatever_the_limits() -> None:
    world = MemoryCluster(2)
    async with world.member(0) as first:
        await first.pin(cid(1), limited(attempts=1, deadline=int(EPOCH) + 60))
        await reaches(first, cid(1), Status.PINNED, 15)
        await asyncio.sleep(HOUR)
        async with world.member(1) as second:  # joins long after the deadline, and cannot reach the first
            world.missing.add(cid(1))
            await asyncio.sleep(600)
            info = await status(second, cid(1))
            assert info.attempts >= 3
            assert info.retry_at is not None
            world.missing.clear()
            await reaches(second, cid(1), Status.PINNED, 3700)


@virtual_time
async def test_what_was_given_up_is_tried_once_when_asked_and_on_when_its_limits_change() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        await cluster.pin(cid(1), limited(attempts=1))
        await asyncio.sleep(60)
        await cluster.tracking.recover(cid(1))
        await asyncio.sleep(HOUR)
        assert await attempts(cluster, cid(1), 2)
        (granted,) = await cluster.grant_many([GrantAsk(cid(1), Wish(PinOptions(), frozenset({"attempts"})))])
        assert not isinstance(granted, Exception)
        assert granted.pin.options.attempts == 0
        world.missing.clear()
        await reaches(cluster, cid(1), Status.PINNED, 15)


@virtual_time
async def test_a_limit_below_the_size_that_is_known_is_refused_and_changes_nothing() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        await cluster.grant_many([GrantAsk(cid(1), Wish(limited(attempts=5)), size=10_000)])
        (refused,) = await cluster.grant_many(
            [GrantAsk(cid(1), Wish(PinOptions(max_size=9_999), frozenset({"max_size"})))]
        )
        assert isinstance(refused, BadPinValue)
        assert "10000 bytes, and its pin is limited to 9999" in str(refused)
        assert (await cluster.get_pin(cid(1))).options.max_size == 0


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        ((5, 100, 3), (0, 0, 0), (0, 0, 0)),
        ((5, 100, 3), (9, 50, 7), (9, 100, 7)),
        ((0, 0, 0), (5, 1, 3), (0, 0, 0)),
    ],
)
@virtual_time
async def test_of_several_owners_the_wider_limits_hold(
    before: tuple[int, int, int], asked: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    async with MemoryCluster(1).all() as (cluster,):
        for owner, (size, deadline, tries) in (("alice", before), ("bob", asked)):
            end = int(wall_clock()) + deadline if deadline else 0
            options = PinOptions(max_size=size, deadline=end, attempts=tries)
            await cluster.grant(cid(1), Wish(options, owner=owner))
        found = (await cluster.get_pin(cid(1))).options
        end = found.deadline - int(EPOCH) if found.deadline else 0
        assert (found.max_size, end, found.attempts) == after
