"""What every LocalPins promises (cluster/ports.py), run against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from support.dags import tree
from support.exchanges import RemoteBlocks
from support.memory_cluster import cid
from support.memory_pins import MemoryPins

from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.memory_store import MemoryBlockstore
from blockstore.pinning.local_pinner import open_local_pins
from cluster.pin import KeyRange, Progress
from cluster.ports import LocalPin, LocalPins, PinFailed, PinTooLarge
from node.services.local_pins import ClusterLocalPins

COUNT = 30


class World(Protocol):
    """Pins under test, and the DAGs that they can get; each has more than one block."""

    pins: LocalPins
    roots: Sequence[CID]

    def hold(self) -> None:
        """Fetches wait from now on."""

    def release(self) -> None: ...

    def lose(self, root: CID) -> None:
        """Part of that DAG is nowhere any more, but what was fetched is still here."""

    def fetched(self) -> int:
        """Blocks that were asked for elsewhere so far."""

    async def fetching(self, count: int) -> None:
        """Returns once that many blocks were asked for."""


class OverStore:
    """The real thing: a walk over a block store in memory, roots in SQLite, another store to fetch from."""

    def __init__(
        self, pins: LocalPins, remote: RemoteBlocks, roots: Sequence[CID], last: dict[CID, CID]
    ) -> None:
        self.pins = pins
        self.roots = roots
        self._remote = remote
        self._last = last

    def hold(self) -> None:
        self._remote.hold()

    def release(self) -> None:
        self._remote.released.set()

    def lose(self, root: CID) -> None:
        self._remote.forget(self._last[root])

    def fetched(self) -> int:
        return len(self._remote.asked)

    async def fetching(self, count: int) -> None:
        async with asyncio.timeout(60), self._remote.changed:
            await self._remote.changed.wait_for(lambda: self.fetched() >= count)


class InMemory:
    """The stand-in that whole simulated clusters run on."""

    def __init__(self) -> None:
        self._missing: set[CID] = set()
        self._stuck: set[CID] = set()
        self._memory = MemoryPins(self._missing, self._stuck, pace=0.001)
        self.pins: LocalPins = self._memory
        self.roots: Sequence[CID] = [cid(number) for number in range(COUNT)]

    def hold(self) -> None:
        self._stuck |= set(self.roots)

    def release(self) -> None:
        self._stuck.clear()

    def lose(self, root: CID) -> None:
        self._missing.add(root)

    def fetched(self) -> int:
        return len(self._memory.fetches)

    async def fetching(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.fetched() < count:  # noqa: ASYNC110 - a stand-in without an event for each step
                await asyncio.sleep(0.001)


Opener = Callable[[Path], AbstractAsyncContextManager[World]]


@asynccontextmanager
async def over_store(folder: Path) -> AsyncIterator[World]:
    dags = [tree(3, 1, start=100 * number) for number in range(COUNT)]
    remote = RemoteBlocks([block for dag in dags for block in dag])
    async with open_local_pins(folder / "pins.db", Blocks(MemoryBlockstore(), remote)) as pinner:
        roots, last = [dag[0].cid for dag in dags], {dag[0].cid: dag[-1].cid for dag in dags}
        yield OverStore(ClusterLocalPins(pinner), remote, roots, last)


@asynccontextmanager
async def in_memory(_folder: Path) -> AsyncIterator[World]:
    yield InMemory()


OPENERS: dict[str, Opener] = {"walk and sqlite": over_store, "memory": in_memory}


@pytest.fixture(params=OPENERS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with OPENERS[request.param](tmp_path) as opened:
        yield opened


def unheard(_progress: Progress) -> None:
    """For callers that are not interested."""


async def pin(
    world: World, root: CID, recursive: bool = True, heard: list[Progress] | None = None
) -> LocalPin:
    note = unheard if heard is None else heard.append
    return await world.pins.pin(root, recursive=recursive, hints=("a peer",), progress=note)


async def begun(world: World, root: CID) -> asyncio.Task[LocalPin]:
    """A pin that stands still on its way."""
    world.hold()
    pinning = asyncio.create_task(pin(world, root))
    await world.fetching(world.fetched() + 1)
    return pinning


async def listed(world: World, after: CID | None = None) -> list[LocalPin]:
    return [root async for root in world.pins.pinned(after)]


async def test_nothing_is_pinned_at_first_and_unpinning_that_is_fine(world: World) -> None:
    await world.pins.unpin(world.roots[0])
    assert await world.pins.get(world.roots[0]) is None
    assert await listed(world) == []


async def test_a_pin_is_complete_and_says_what_it_holds(world: World) -> None:
    root, heard = world.roots[0], list[Progress]()
    pinned = await pin(world, root, heard=heard)
    assert pinned == await world.pins.get(root)
    assert await listed(world) == [pinned]
    assert (pinned.cid, pinned.complete, pinned.recursive) == (root, True, True)
    assert pinned.blocks > 1
    assert replace(heard[-1], rate=0.0) == Progress(pinned.blocks, pinned.bytes, 0)
    assert heard == sorted(heard, key=lambda step: step.blocks)


async def test_a_complete_pin_returns_at_once(world: World) -> None:
    root = world.roots[0]
    pinned = await pin(world, root)
    fetched = world.fetched()
    world.hold()
    assert await pin(world, root) == pinned
    assert await pin(world, root, recursive=False) == pinned
    assert world.fetched() == fetched


async def test_a_direct_pin_is_the_block_alone_and_may_become_the_whole(world: World) -> None:
    root = world.roots[0]
    direct = await pin(world, root, recursive=False)
    assert (direct.complete, direct.recursive, direct.blocks) == (True, False, 1)
    assert not direct.has(recursive=True)
    whole = await pin(world, root)
    assert whole.has(recursive=True)
    assert whole.blocks > 1


async def test_a_walk_that_cannot_end_says_why_and_leaves_an_incomplete_root(world: World) -> None:
    root = world.roots[0]
    world.lose(root)
    with pytest.raises(PinFailed, match=r"\w"):
        await pin(world, root)
    assert await world.pins.get(root) == LocalPin(root, complete=False)


async def test_what_is_larger_than_was_allowed_is_not_pinned(world: World) -> None:
    with pytest.raises(PinTooLarge, match="larger than its limit of 1 bytes"):
        await world.pins.pin(world.roots[0], recursive=True, hints=(), progress=unheard, max_size=1)
    found = await world.pins.get(world.roots[0])
    assert found is not None
    assert not found.complete
    assert (await world.pins.pin(world.roots[0], recursive=True, hints=(), progress=unheard)).complete


async def test_a_cancelled_walk_keeps_what_was_fetched_and_the_next_fetches_the_rest(world: World) -> None:
    root, other = world.roots[:2]
    await pin(world, other)
    count = world.fetched()
    pinning = await begun(world, root)
    pinning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pinning
    assert await world.pins.get(root) == LocalPin(root, complete=False)
    world.release()
    assert (await pin(world, root)).complete
    assert world.fetched() - count <= count + 1


async def test_unpinning_forgets_the_root_and_a_second_time_is_fine(world: World) -> None:
    one, two = world.roots[:2]
    await pin(world, one)
    await pin(world, two)
    for _ in range(2):
        await world.pins.unpin(one)
    assert await world.pins.get(one) is None
    assert [root.cid for root in await listed(world)] == [two]


async def test_unpinning_during_a_walk_ends_it_and_nothing_stays(world: World) -> None:
    root = world.roots[0]
    pinning = await begun(world, root)
    await world.pins.unpin(root)
    world.release()
    with pytest.raises(PinFailed):
        await asyncio.wait_for(pinning, 20)
    assert await world.pins.get(root) is None
    assert (await pin(world, root)).complete


async def test_several_are_pinned_at_once(world: World) -> None:
    pins = await asyncio.gather(*(pin(world, root) for root in world.roots))
    assert all(one.complete for one in pins)


async def test_roots_are_listed_in_order_of_the_bytes_behind_a_given_one(world: World) -> None:
    await asyncio.gather(*(pin(world, root) for root in world.roots))
    ordered = sorted(world.roots, key=bytes)
    assert [root.cid for root in await listed(world)] == ordered
    assert [root.cid for root in await listed(world, after=ordered[9])] == ordered[10:]
    assert await listed(world, after=ordered[-1]) == []


async def test_many_are_asked_for_and_forgotten_together(world: World) -> None:
    one, two, three = world.roots[:3]
    pinned = [await pin(world, one), await pin(world, two)]
    assert await world.pins.get_many([two, three, one, two]) == [pinned[1], None, pinned[0], pinned[1]]
    assert await world.pins.get_many([]) == []
    await world.pins.unpin_many([two, three])
    await world.pins.unpin_many([])
    assert await listed(world) == [pinned[0]]


async def test_what_is_complete_needs_no_walk_and_what_is_not_here_is_left(world: World) -> None:
    whole, direct, absent = world.roots[:3]
    pinned = {whole: await pin(world, whole), direct: await pin(world, direct, recursive=False)}
    fetched = world.fetched()
    assert await world.pins.pin_here({whole: True, direct: False, absent: True}) == pinned
    assert await world.pins.pin_here({whole: False, direct: True}) == {whole: pinned[whole]}
    assert await world.pins.pin_here({}) == {}
    assert world.fetched() == fetched
    assert (await pin(world, absent)).complete


async def test_unpinning_many_ends_their_walks(world: World) -> None:
    root = world.roots[0]
    pinning = await begun(world, root)
    await world.pins.unpin_many([root, world.roots[1]])
    world.release()
    with pytest.raises(PinFailed):
        await asyncio.wait_for(pinning, 20)
    assert await world.pins.get(root) is None


async def test_a_key_range_of_roots_comes_as_columns(world: World) -> None:
    for number, root in enumerate(world.roots[:20]):
        await pin(world, root, recursive=number % 2 == 0)
    ordered = sorted(map(bytes, world.roots[:20]))
    found = await world.pins.within(KeyRange(), 100)
    known = [await world.pins.get(CID.decode(key)) for key in ordered]
    assert list(found.cids) == ordered
    assert [
        LocalPin(CID.decode(key), bool(complete), blocks, size, bool(recursive))
        for key, complete, blocks, size, recursive in zip(
            found.cids, found.complete, found.blocks, found.sizes, found.recursive, strict=True
        )
    ] == known
    assert found.until == KeyRange().until
    part = await world.pins.within(KeyRange(ordered[2], ordered[7]), 100)
    assert (list(part.cids), part.until) == (ordered[3:8], ordered[7])
    part = await world.pins.within(KeyRange(ordered[2], ordered[7]), 2)
    assert (list(part.cids), part.until) == (ordered[3:5], ordered[4])
    assert list((await world.pins.within(KeyRange(ordered[-1]), 5)).cids) == []
