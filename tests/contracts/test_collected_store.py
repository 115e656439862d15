"""What every CollectedStore promises, run against each of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.collecting import each, names_swept, swept
from support.dags import cids, leaf, leaves, node, tree
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import CID, DAG_CBOR, RAW
from blockstore.errors import CollectorBusy
from blockstore.pinning import gc
from blockstore.pinning.gc import Root
from blockstore.pinning.local_pinner import LocalPinner, open_local_pins
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.upkeep import CollectedStore
from blockstore.volumes.open_store import open_volume_blockstore

MIB = 1 << 20
STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[CollectedStore]]] = {
    "sqlite": lambda folder: open_sqlite_blockstore(folder / "blocks.db"),
    "volumes": lambda folder: open_volume_blockstore(folder / "blocks.db"),
}


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest) -> Callable[[Path], AbstractAsyncContextManager[CollectedStore]]:
    return STORES[request.param]


@pytest.fixture
async def store(
    opener: Callable[[Path], AbstractAsyncContextManager[CollectedStore]], tmp_path: Path
) -> AsyncIterator[CollectedStore]:
    async with opener(tmp_path) as opened:
        yield opened


def hashes(blocks: Sequence[Block]) -> set[bytes]:
    return {block.cid.multihash for block in blocks}


async def test_what_is_located_has_a_number_of_its_own_and_its_size(store: CollectedStore) -> None:
    blocks = [leaf(1), node([leaf(1).cid]), node([], b"only data"), leaf(2, size=300_000)]
    await store.put_many(blocks)
    found = await store.located([*cids(blocks), leaf(3).cid, CID.identity(RAW, b"in the name")])
    assert [found[block.cid.multihash].size for block in blocks] == [len(block.data) for block in blocks]
    assert [found[block.cid.multihash].only_data for block in blocks[1:3]] == [False, True]
    assert len({one.number for one in found.values()}) == len(found) == len(blocks)
    assert await store.located([CID.v1(DAG_CBOR, leaf(1).cid.multihash)]) == {
        leaf(1).cid.multihash: found[leaf(1).cid.multihash]
    }


async def test_a_number_is_not_given_again(store: CollectedStore) -> None:
    await store.put_many(leaves(3))
    before = {one.number for one in (await store.located(cids(leaves(3)))).values()}
    await store.delete_many(cids(leaves(3)))
    await store.put_many(leaves(3, start=10))
    after = {one.number for one in (await store.located(cids(leaves(3, start=10)))).values()}
    assert not before & after


async def test_locating_is_no_use(store: CollectedStore) -> None:
    await store.put_many(leaves(2))
    async with store.collecting() as collection:
        await store.located(cids(leaves(2)))
        await collection.keep([leaf(0).cid, leaf(5).cid, CID.identity(RAW, b"x")])
        went = [cid.multihash async for one in collection.sweep() for cid in one.cids]
    assert went == [leaf(1).cid.multihash]


async def test_one_collection_at_a_time(store: CollectedStore) -> None:
    async with store.collecting():
        with pytest.raises(CollectorBusy):
            async with store.collecting():
                pass
    async with store.collecting():
        pass


async def test_sizes_of_what_went_are_those_of_its_blocks(store: CollectedStore) -> None:
    blocks = [*leaves(3000), *leaves(8, start=5000, size=400_000)]
    await store.put_many(blocks)
    went = [one async for one in swept(store, each([]))]
    assert {cid for one in went for cid in one.cids} == {CID.v1(RAW, block.cid.multihash) for block in blocks}
    assert sum(one.bytes for one in went) == sum(len(block.data) for block in blocks)
    usage = await store.usage()
    assert (usage.blocks, usage.bytes) == (0, 0)


async def test_a_collection_ends_when_enough_is_gone_and_takes_the_oldest(store: CollectedStore) -> None:
    for number in range(20):
        await store.put_many([leaf(number, size=100_000)])
    went = await names_swept(store, each([Root(leaf(0, size=100_000).cid)]), need=450_000)
    assert went == hashes([leaf(number, size=100_000) for number in range(1, 6)])
    assert (await store.usage()).blocks == 15


async def test_a_sweep_that_is_left_goes_on_with_the_next_collection(store: CollectedStore) -> None:
    blocks = leaves(40, size=MIB)
    await store.put_many(blocks[:20])
    await store.put_many(blocks[20:])
    async with aclosing(swept(store, each([]))) as steps:
        first = await anext(steps)
    assert 0 < len(first.cids) < 40
    assert await store.missing(cids(blocks)) == [
        block.cid for block in blocks if CID.v1(RAW, block.cid.multihash) in first.cids
    ]
    assert len(await names_swept(store, each([]))) == 40 - len(first.cids)


async def test_others_write_between_two_steps(store: CollectedStore) -> None:
    await store.put_many(leaves(40, size=MIB))
    steps = put = 0
    async for _ in swept(store, each([])):
        await store.put_many([leaf(100 + steps)])
        steps, put = steps + 1, put + 1
    assert steps > 1
    assert await store.missing(cids(leaves(put, start=100))) == []


async def test_marking_a_leaf_reads_none_of_its_data(
    store: CollectedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = tree(8, 3)
    await store.put_many(blocks)
    read: list[CID] = []
    located: list[CID] = []
    get_many, locate = store.get_many, store.located

    async def reading(asked: Sequence[CID]) -> list[Block | None]:
        read.extend(asked)
        return await get_many(asked)

    async def locating(asked: Sequence[CID]) -> dict[bytes, object]:
        located.extend(asked)
        return {**await locate(asked)}

    monkeypatch.setattr(store, "get_many", reading)
    monkeypatch.setattr(store, "located", locating)
    assert await names_swept(store, each([Root(blocks[0].cid)])) == set()
    assert len(read) == len(located) == 1 + 8 + 64


# Any interleaving of a collection with imports, pins, unpins and readers, step by step.

PHASES = [Phase.explicit, Phase.reuse, Phase.generate]  # shrinking takes minutes and a failure has its seed
UNCHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
ELSEWHERE = [tree(2, 2, start=100 * number) for number in range(6)]
Actor = AsyncGenerator[None]


class World:
    """A store, its roots, and actors that stop after each step. `wanted` are roots that must be whole."""

    def __init__(self, store: CollectedStore, pins: LocalPinner) -> None:
        self.store = store
        self.pins = pins
        self.wanted: dict[CID, list[Block]] = {}
        self.collecting = False

    def actor(self, kind: int, number: int) -> Actor:
        blocks = ELSEWHERE[number]
        return (self._import, self._pin, self._unpin, self._collect, self._read)[kind](blocks)

    async def _import(self, blocks: list[Block]) -> Actor:
        """Leaves first, the root last; then the local pin."""
        with self.store.protect():
            for block in reversed(blocks):
                await self.store.put_many([block])
                yield
            await self._pinned(blocks)

    async def _pin(self, blocks: list[Block]) -> Actor:
        pinning = asyncio.create_task(self._pinned(blocks))
        yield
        await pinning

    async def _pinned(self, blocks: list[Block]) -> None:
        root = await self.pins.pin(blocks[0].cid, recursive=True, hints=(), progress=lambda *_: None)
        assert root.complete
        self.wanted[root.cid] = blocks

    async def _unpin(self, blocks: list[Block]) -> Actor:
        self.wanted.pop(blocks[0].cid, None)
        await self.pins.unpin(blocks[0].cid)
        yield

    async def _read(self, blocks: list[Block]) -> Actor:
        for block in blocks:
            found = await self.store.get_many([block.cid])
            assert found[0] in (None, block)
            yield

    async def _collect(self, blocks: list[Block]) -> Actor:
        if self.collecting:
            return
        self.collecting = True
        try:
            async with aclosing(gc.collect(self.store, self.roots())) as steps:
                async for _ in steps:
                    yield
        finally:
            self.collecting = False

    async def roots(self) -> AsyncIterator[Root]:
        async for pin in self.pins.pinned():
            yield Root(pin.cid, pin.recursive, whole=pin.complete)


async def advanced(actor: Actor) -> bool:
    """One step; whether there may be another."""
    try:
        await anext(actor)
    except StopAsyncIteration:
        return False
    return True


@given(
    begun=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=4, max_size=20),
    seed=st.integers(0, 2**32),
)
@settings(
    max_examples=40,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_goes_on_beside_it_a_collection_takes_garbage_alone(
    opener: Callable[[Path], AbstractAsyncContextManager[CollectedStore]],
    tmp_path_factory: pytest.TempPathFactory,
    begun: list[tuple[int, int]],
    seed: int,
) -> None:
    async def run() -> None:
        folder = tmp_path_factory.mktemp("world")
        everything = [block for blocks in ELSEWHERE for block in blocks]
        async with opener(folder) as store:
            await store.put_many(random.Random(seed).sample(everything, len(everything) // 2))
            async with open_local_pins(folder / "pins.db", Blocks(store, RemoteBlocks(everything))) as pins:
                await played(World(store, pins), begun, random.Random(seed))

    asyncio.run(run())


async def played(world: World, begun: list[tuple[int, int]], chance: random.Random) -> None:
    """At most one actor a tree at a time; each turn begins one, or takes one a step further."""
    running: dict[int, Actor] = {}
    waiting = list(begun)
    while waiting or running:
        free = [one for one in waiting if one[1] not in running]
        if free and chance.random() < 0.5:
            waiting.remove(free[0])
            running[free[0][1]] = world.actor(*free[0])
        elif running:
            number = chance.choice(list(running))
            if not await advanced(running[number]):
                await running.pop(number).aclose()
        elif not free:
            break
        for blocks in [*world.wanted.values()]:
            assert (await world.store.located(cids(blocks))).keys() == hashes(blocks)  # looking would be use
    await names_swept(world.store, world.roots())
    kept = {block.cid.multihash for blocks in world.wanted.values() for block in blocks}
    assert {cid.multihash async for cid in world.store.keys()} == kept  # noqa: SIM118  not a dict
