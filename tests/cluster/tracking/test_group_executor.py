"""Operations that are looked at together: none keeps another, and what is wished last is what is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid, until
from support.memory_pins import MemoryPins
from support.tracked_pins import ALL, OLD, everywhere, failed, pinned, status

from blockstore.cid import CID
from cluster.pin import GrantAsk, Status, Wish
from cluster.ports import LocalPin, PinFailed
from cluster.settings import ClusterSettings


class SmallBlocks(MemoryPins):
    """Pins of one block that is here, but for those it `lacks`; a group takes a second."""

    def __init__(self, lacks: Sequence[CID] = (), odd: Sequence[CID] = ()) -> None:
        super().__init__(set(lacks), set())
        self.lacks, self.odd = set(lacks), set(odd)
        self.groups: list[int] = []
        self.forgotten: list[int] = []
        self.refusing = False

    async def pin_here(self, roots: Mapping[CID, bool]) -> Mapping[CID, LocalPin]:
        await asyncio.sleep(1)
        if self.refusing:
            raise PinFailed("cannot be read")
        if self.odd & set(roots):
            raise ZeroDivisionError
        self.groups.append(len(roots))
        here = {one: LocalPin(one, True, 1, 8, mode) for one, mode in roots.items() if one not in self.lacks}
        self.roots |= here
        return here

    async def unpin_many(self, cids: Sequence[CID]) -> None:
        await asyncio.sleep(1)
        self.forgotten.append(len(cids))
        await super().unpin_many(cids)


def asks(count: int, name: str = "") -> list[GrantAsk]:
    return [GrantAsk(cid(number), Wish(ALL._replace(name=name))) for number in range(count)]


@virtual_time
async def test_many_small_pins_are_a_few_groups_both_ways_and_a_hopeless_one_delays_none() -> None:
    world, pins = MemoryCluster(1), SmallBlocks(lacks=[cid(7)])
    async with world.member(0, pins) as cluster:
        await cluster.grant_many(asks(2500))
        await asyncio.sleep(0.5)
        assert (await status(cluster, cid(0))).status is Status.PINNING
        assert (await status(cluster, cid(2499))).status is Status.PIN_QUEUED
        await asyncio.sleep(3)
        assert pins.groups == [1000, 1000, 500]
        assert await pinned(cluster, [cid(number) for number in range(2500) if number != 7])
        assert await failed(cluster, [cid(7)])
        await cluster.unpin_many([ask.cid for ask in asks(2500)])
        await asyncio.sleep(4)
        assert not pins.roots
        assert sum(pins.forgotten) == 2500
        assert len(pins.forgotten) <= 4
        assert not world.machines[0].attempts.rows


@virtual_time
async def test_what_changes_while_a_group_is_looked_at_is_looked_at_again() -> None:
    world, pins = MemoryCluster(1), SmallBlocks(lacks=[cid(3)])
    async with world.member(0, pins) as cluster:
        await cluster.grant_many(asks(4))
        await asyncio.sleep(0.5)
        await cluster.unpin_many([cid(0), cid(1), cid(3)])
        await cluster.grant_many(asks(1, "again"))
        await asyncio.sleep(10)
        assert set(pins.roots) == {cid(0), cid(2)}
        assert not pins.walks, "what was to be fetched was unpinned before its turn"
        assert not sum(cluster.tracking.waiting().values())


@virtual_time
async def test_where_a_group_fails_each_is_pinned_by_itself() -> None:
    world, pins = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=5)), SmallBlocks(odd=[cid(1)])
    async with world.member(0, pins) as cluster:
        await cluster.grant_many(asks(10))
        await until(lambda: pinned(cluster, [ask.cid for ask in asks(10)]), 60)
        assert world.guard.failures == 1
        pins.refusing = True
        await cluster.grant_many([GrantAsk(cid(number)) for number in range(20, 25)])
        await until(lambda: pinned(cluster, [cid(number) for number in range(20, 25)]), 60)


@virtual_time
async def test_callers_that_wait_are_answered_as_a_group_beside_the_others() -> None:
    world, pins = MemoryCluster(1, settings=ClusterSettings(concurrent_pins=1)), SmallBlocks(lacks=[cid(4)])
    async with world.member(0, pins) as cluster:
        await cluster.grant_many(asks(5))
        waiting = [cluster.tracking.pinned(cid(number)) for number in range(5)]
        failures = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(failure) for failure in failures] == [*[type(None)] * 4, PinFailed]
        assert pins.groups[0] == 5


@virtual_time
async def test_a_small_queue_is_filled_again_as_soon_as_a_group_is_done() -> None:
    world, pins = MemoryCluster(1, settings=ClusterSettings(queue_size=3)), SmallBlocks()
    for number in range(20):
        world.shared.pins[cid(number)] = everywhere(number, created=OLD)
    async with world.member(0, pins) as cluster:
        await until(lambda: pinned(cluster, [cid(number) for number in range(20)]), 30)
        assert max(pins.groups) == 3
