"""What every Blockstore promises, run against each of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dags import cids, leaf, leaves, node

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR, DAG_PB, RAW
from blockstore.errors import BlockNotFound, StorageFull
from blockstore.memory_store import MemoryBlockstore
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.store import Blockstore, StoreStat, Usage
from blockstore.volumes.open_store import open_volume_blockstore


class Opener(Protocol):
    def __call__(self, quota: int = 0) -> AbstractAsyncContextManager[Blockstore]: ...


@pytest.fixture(params=["memory", "sqlite", "volumes"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    @asynccontextmanager
    async def memory(quota: int = 0) -> AsyncIterator[Blockstore]:
        yield MemoryBlockstore(quota)

    @asynccontextmanager
    async def sqlite(quota: int = 0) -> AsyncIterator[Blockstore]:
        async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=quota) as store:
            yield store

    @asynccontextmanager
    async def volumes(quota: int = 0) -> AsyncIterator[Blockstore]:
        async with open_volume_blockstore(tmp_path / "blocks.db", quota=quota) as store:
            yield store

    return {"memory": memory, "sqlite": sqlite, "volumes": volumes}[request.param]


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Blockstore]:
    async with opener() as opened:
        yield opened


async def held(store: Blockstore) -> set[bytes]:
    return {cid.multihash async for cid in store.keys()}  # noqa: SIM118  not a dict


async def test_an_empty_store_has_nothing(store: Blockstore) -> None:
    missing = leaf(1).cid
    assert not await store.has(missing)
    assert await store.missing([missing]) == [missing]
    assert await store.get_many([missing]) == [None]
    assert await store.stat([missing]) == [None]
    assert await held(store) == set()
    usage = await store.usage()
    assert (usage.blocks, usage.bytes, usage.quota) == (0, 0, 0)


async def test_a_missing_block_raises_and_is_named(store: Blockstore) -> None:
    cid = leaf(1).cid
    for call in (store.get, store.size):
        with pytest.raises(BlockNotFound, match=str(cid)) as caught:
            await call(cid)
        assert caught.value.cid == cid


async def test_what_was_put_is_got(store: Blockstore) -> None:
    block = leaf(1, size=5000)
    await store.put_many([block])
    assert await store.get(block.cid) == block
    assert await store.has(block.cid)
    assert await store.size(block.cid) == 5000
    assert await held(store) == {block.cid.multihash}


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 100_000, 2 * 1024 * 1024])
async def test_any_size_up_to_the_largest_comes_back_whole(store: Blockstore, size: int) -> None:
    block = Block.of(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    await store.put_many([block])
    assert (await store.get(block.cid)).data == block.data
    assert await store.size(block.cid) == size


async def test_many_answers_stand_in_the_order_of_the_questions(store: Blockstore) -> None:
    here, away = leaves(600), leaves(3, start=1000)
    await store.put_many(here)
    asked = [away[0], *here[300:], away[1], here[0], here[0], away[2]]
    found = await store.get_many(cids(asked))
    assert found == [block if block in here else None for block in asked]
    assert await store.missing(cids(asked)) == cids(away)
    sizes = [None if stat is None else stat.size for stat in await store.stat(cids(asked))]
    assert sizes == [len(block.data) if block in here else None for block in asked]


async def test_nothing_asked_is_nothing_answered(store: Blockstore) -> None:
    assert await store.get_many([]) == []
    assert await store.missing([]) == []
    assert await store.stat([]) == []
    await store.put_many([])
    await store.delete_many([])


async def test_putting_twice_is_putting_once(store: Blockstore) -> None:
    block, other = leaf(1), leaf(2)
    await store.put_many([block, block])
    await store.put_many([block, other])
    usage = await store.usage()
    assert (usage.blocks, usage.bytes) == (2, 64)


async def test_deleting_a_missing_block_is_fine(store: Blockstore) -> None:
    block, other = leaf(1), leaf(2)
    await store.put_many([block, other])
    await store.delete_many([block.cid, leaf(3).cid, block.cid])
    await store.delete_many([block.cid])
    assert await held(store) == {other.cid.multihash}
    usage = await store.usage()
    assert (usage.blocks, usage.bytes) == (1, 32)


async def test_a_deleted_block_can_be_put_again(store: Blockstore) -> None:
    block = leaf(1)
    await store.put_many([block])
    await store.delete_many([block.cid])
    await store.put_many([block])
    assert await store.get(block.cid) == block


async def test_codec_and_version_do_not_matter_and_the_asked_cid_comes_back(store: Blockstore) -> None:
    block = node([leaf(1).cid])
    await store.put_many([block])
    names = [CID.v0(block.cid.multihash), *(CID.v1(codec, block.cid.multihash) for codec in (RAW, DAG_CBOR))]
    for cid in names:
        assert await store.get(cid) == Block(cid, block.data)
    assert await store.get_many(names) == [Block(cid, block.data) for cid in names]
    await store.put_many([Block(names[0], block.data)])
    assert (await store.usage()).blocks == 1


async def test_identity_blocks_answer_from_themselves_and_are_never_stored(store: Blockstore) -> None:
    cid = CID.identity(RAW, b"in the name")
    await store.put_many([Block.inline(cid)])
    assert await store.get(cid) == Block(cid, b"in the name")
    assert await store.get_many([cid]) == [Block(cid, b"in the name")]
    assert await store.has(cid)
    assert await store.missing([cid]) == []
    assert await store.size(cid) == 11
    assert await store.stat([cid]) == [StoreStat(11, links=False)]
    await store.delete_many([cid])
    assert await store.has(cid)
    assert (await store.usage()).blocks == 0


async def test_stat_says_which_blocks_cannot_link(store: Blockstore) -> None:
    child = leaf(1)
    linked, childless, empty = node([child.cid], b"d"), node([], b"only data"), node([])
    cbor = Block.of(b"\xa0", DAG_CBOR)
    inline = CID.identity(DAG_PB, linked.data)
    blocks = [child, linked, childless, empty, cbor]
    await store.put_many(blocks)
    asked = [*cids(blocks), CID.v1(RAW, linked.cid.multihash), inline, CID.identity(DAG_PB, b"")]
    found = await store.stat(asked)
    assert [stat and stat.links for stat in found] == [False, True, False, False, True, False, True, False]


async def test_keys_come_as_raw_cids_in_order_over_many_pages(store: Blockstore) -> None:
    blocks = leaves(2500)
    await store.put_many(blocks)
    keys = [cid async for cid in store.keys()]  # noqa: SIM118  not a dict
    assert keys == [CID.v1(RAW, multihash) for multihash in sorted(b.cid.multihash for b in blocks)]


async def test_a_put_beyond_the_quota_keeps_nothing_and_says_what_to_do(opener: Opener) -> None:
    async with opener(quota=100) as store:
        first, *rest = leaves(4)
        await store.put_many([first])
        with pytest.raises(StorageFull, match="32 B of 100 B used, and 96 B more do not fit; "):
            await store.put_many(rest)
        assert await held(store) == {first.cid.multihash}
        assert replace(await store.usage(), held=0) == Usage(1, 32, 100, 68)


async def test_a_full_store_reads_takes_what_it_has_and_goes_on_when_there_is_room(opener: Opener) -> None:
    async with opener(quota=64) as store:
        one, two, three = leaves(3)
        await store.put_many([one, two])
        await store.put_many([one])
        assert (await store.usage()).free == 0
        with pytest.raises(StorageFull):
            await store.put_many([one, three])
        assert await store.get(two.cid) == two
        await store.delete_many([one.cid])
        await store.put_many([three])
        assert await store.missing(cids([one, two, three])) == [one.cid]


@pytest.mark.parametrize("size", [700, 40_000, 1_000_000])
async def test_a_quota_counts_what_the_disk_holds(opener: Opener, tmp_path: Path, size: int) -> None:
    quota, chance, kept = 64 << 20, random.Random(size), list[Block]()

    def held() -> int:
        return sum(file.stat().st_blocks * 512 for file in tmp_path.rglob("*") if file.is_file())

    async with opener(quota=quota) as store:
        while True:
            blocks = [Block.of(chance.randbytes(size)) for _ in range(3_000_000 // size)]
            try:
                await store.put_many(blocks)
            except StorageFull:
                break
            kept += blocks
            assert held() <= quota
        assert len(kept) * size > quota * 0.6
        assert await store.missing(cids(blocks)) == cids(blocks)
        assert await store.missing(cids(kept)) == []
        usage = await store.usage()
        assert usage.held >= held() - (64 << 10)
        assert usage.free < 10_000_000


async def test_concurrent_calls_see_whole_batches(store: Blockstore) -> None:
    batches = [leaves(20, start=100 * number) for number in range(10)]

    async def look() -> None:
        for batch in batches:
            missing = await store.missing(cids(batch))
            assert len(missing) in {0, 20}

    await asyncio.gather(*(store.put_many(batch) for batch in batches), look(), look())
    assert (await store.usage()).blocks == 200


async def test_many_writers_of_the_same_blocks_count_them_once(store: Blockstore) -> None:
    blocks = leaves(50)
    await asyncio.gather(*(store.put_many(blocks[number:]) for number in range(40)))
    usage = await store.usage()
    assert (usage.blocks, usage.bytes) == (50, 50 * 32)


async def test_flush_keeps_everything_there(store: Blockstore) -> None:
    block = leaf(1)
    await store.put_many([block])
    await store.flush()
    assert await store.get(block.cid) == block


Step = tuple[str, list[int]]
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.lists(st.integers(0, 12), max_size=6)), max_size=25
)


@given(steps=STEPS)
# One store for all examples: each begins by emptying it.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_history_of_puts_and_deletes_ends_as_a_set_would(opener: Opener, steps: list[Step]) -> None:
    async def run() -> None:
        expected: set[int] = set()
        async with opener(quota=32 * 8) as store:
            await store.delete_many([leaf(number).cid for number in range(13)])
            for verb, numbers in steps:
                blocks = [leaf(number) for number in numbers]
                if verb == "delete":
                    await store.delete_many(cids(blocks))
                    expected -= set(numbers)
                elif len(expected | set(numbers)) > 8:
                    if set(numbers) - expected:
                        with pytest.raises(StorageFull):
                            await store.put_many(blocks)
                else:
                    await store.put_many(blocks)
                    expected |= set(numbers)
                assert await held(store) == {leaf(number).cid.multihash for number in expected}
                usage = await store.usage()
                assert (usage.blocks, usage.bytes) == (len(expected), 32 * len(expected))

    asyncio.run(run())
