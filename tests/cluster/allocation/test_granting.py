"""Wishes granted in groups: each as it would be alone, in order, over one durable write."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid
from support.pinned_together import TWO

from cluster.errors import BadPinOptions, ClusterError, NotEnoughPeers, NotPinned, ReadOnlyMember
from cluster.pin import GrantAsk, GrantResult, Pin, PinOptions, Wish


def ask(number: int, name: str = "", **options: object) -> GrantAsk:
    return GrantAsk(cid(number), Wish(PinOptions(name=name)._replace(**options)))  # type: ignore[arg-type]


def names(results: list[GrantResult | ClusterError]) -> list[tuple[str, str | None] | type]:
    """(name now, name before) of each; the type of an error."""
    return [
        (one.pin.options.name, one.before.options.name if one.before else None)
        if isinstance(one, GrantResult)
        else type(one)
        for one in results
    ]


@virtual_time
async def test_a_group_is_granted_in_order_and_one_that_is_refused_harms_no_other() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        asks = [
            ask(1, "a"),
            ask(2, "x" * 300),
            ask(1, "b"),
            ask(3, expire_at=EPOCH - 1),
            ask(4, "d"),
            ask(1, "b"),
        ]
        results = await cluster.grant_many(asks)
        assert names(results)[::2] == [("a", None), ("b", "a"), ("d", None)]
        assert all(isinstance(one, BadPinOptions) for one in results[1:4:2])
        assert names(results)[5] == ("b", "b")
        assert [pin.options.name async for pin in cluster.pinset.pins()] == ["b", "d"]
        assert world.shared.writes == 3, "the same again is not written again"


@virtual_time
async def test_a_pin_may_take_the_place_of_one_that_an_earlier_ask_makes() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        asks = [ask(2, pin_update=cid(1)), ask(1, "old"), ask(2, pin_update=cid(1)), ask(1, "new")]
        results = await cluster.grant_many(asks)
        assert names(results) == [NotPinned, ("old", None), ("old", None), ("new", "old")]


@virtual_time
async def test_holders_are_chosen_as_for_each_alone() -> None:
    world = MemoryCluster(3)
    world.machines[2].free = 10
    async with world.all() as clusters:
        await asyncio.sleep(2)
        few, many = GrantAsk(cid(1), Wish(TWO), size=5), GrantAsk(cid(2), Wish(TWO), size=50)
        three = GrantAsk(cid(3), Wish(TWO._replace(replication_min=3, replication_max=3)), size=50)
        wished = GrantAsk(cid(4), Wish(TWO._replace(user_allocations=(world.peers[2],))))
        results = await clusters[0].grant_many([few, many, three, wished])
        alone = [await clusters[1].pin(cid(11), TWO, size=5), await clusters[1].pin(cid(12), TWO, size=50)]
        assert [one.pin.allocations for one in results[:2] if isinstance(one, GrantResult)] == [
            pin.allocations for pin in alone
        ]
        assert isinstance(results[2], NotEnoughPeers)
        assert isinstance(results[3], GrantResult)
        assert world.peers[2] in results[3].pin.allocations


@virtual_time
async def test_many_are_unpinned_in_order() -> None:
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        await cluster.grant_many([ask(number, str(number)) for number in range(5)])
        gone = await cluster.unpin_many([cid(3), cid(9), cid(0), cid(3)])
        assert [one.options.name if isinstance(one, Pin) else type(one) for one in gone] == [
            *("3", NotPinned, "0", NotPinned)
        ]
        assert await cluster.pinset.count() == 3


@virtual_time
async def test_a_follower_grants_nothing() -> None:
    world = MemoryCluster(2, followers=[1])
    async with world.all() as clusters:
        with pytest.raises(ReadOnlyMember):
            await clusters[1].grant_many([ask(1)])
        with pytest.raises(ReadOnlyMember):
            await clusters[1].unpin_many([cid(1)])


@virtual_time
async def test_requests_at_the_same_time_are_granted_beside_groups() -> None:
    """Each CID's wishes one after the other, whichever way they came."""
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        groups = [cluster.grant_many([ask(n, f"{g}") for n in range(20)]) for g in range(3)]
        backwards = [cluster.grant_many([ask(n, "back") for n in reversed(range(20))])]
        single = [cluster.grant(cid(n), Wish(PinOptions(name="one"))) for n in range(20)]
        removed = [cluster.unpin_many([cid(n) for n in range(0, 20, 3)])]
        await asyncio.gather(*groups, *backwards, *single, *removed)
        assert await cluster.pinset.count() >= 13
