"""Blocks of the store, read once for all who want them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import StoreUnavailable
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from node.retrieval.read_cache import ReadCache, open_shared_reads

LARGE = Block.of(b"L" * 200_000)
OTHER = Block.of(b"O" * 200_000)
THIRD = Block.of(b"T" * 200_000)
SMALL = Block.of(b"small")
ABSENT = Block.of(b"never put").cid


class Watched:
    """A real store that tells how often it was read; it answers when it is let."""

    def __init__(self, store: SqliteBlockstore) -> None:
        self._store = store
        self.asked: list[CID] = []
        self.has_read = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.trouble: StoreUnavailable | None = None

    @property
    def deletions(self) -> int:
        return self._store.deletions

    async def delete_many(self, cids: Sequence[CID]) -> None:
        await self._store.delete_many(cids)

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        self.asked += cids
        found = await self._store.get_many(cids)
        self.has_read.set()
        await self.open.wait()
        if self.trouble:
            raise self.trouble
        return found


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Watched]:
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as opened:
        await opened.put_many([LARGE, OTHER, THIRD, SMALL])
        yield Watched(opened)


@pytest.fixture
async def shared(store: Watched) -> AsyncIterator[ReadCache]:
    async with open_shared_reads(store) as opened:
        yield opened


async def test_answers_are_those_of_the_store_in_their_order(shared: ReadCache) -> None:
    cids = [SMALL.cid, ABSENT, LARGE.cid, SMALL.cid]
    for _ in range(3):
        assert await shared.get_many(cids) == [SMALL, None, LARGE, SMALL]


async def test_many_readers_at_once_are_one_read(store: Watched, shared: ReadCache) -> None:
    store.open.clear()
    readers = [asyncio.create_task(shared.get_many([LARGE.cid, OTHER.cid])) for _ in range(16)]
    await store.has_read.wait()
    store.open.set()
    assert await asyncio.gather(*readers) == [[LARGE, OTHER]] * 16
    assert store.asked == [LARGE.cid, OTHER.cid]


async def test_a_lone_reader_leaves_nothing_behind_and_a_second_one_does(
    store: Watched, shared: ReadCache
) -> None:
    for reader in range(4):
        await shared.get_many([LARGE.cid])
        assert len(store.asked) == min(reader + 1, 2)


async def test_small_blocks_are_kept_at_once(store: Watched, shared: ReadCache) -> None:
    for _ in range(3):
        assert await shared.get_many([SMALL.cid]) == [SMALL]
    assert store.asked == [SMALL.cid]


async def test_what_is_deleted_is_forgotten(store: Watched, shared: ReadCache) -> None:
    await shared.get_many([SMALL.cid])
    await store.delete_many([SMALL.cid])
    assert await shared.get_many([SMALL.cid]) == [None]


async def test_what_was_read_while_it_was_deleted_is_not_kept(store: Watched, shared: ReadCache) -> None:
    store.open.clear()
    reader = asyncio.create_task(shared.get_many([SMALL.cid]))
    await store.has_read.wait()
    await store.delete_many([SMALL.cid])
    assert await shared.get_many([]) == []  # as others read meanwhile
    store.open.set()
    await reader
    assert await shared.get_many([SMALL.cid]) == [None]


async def test_who_leaves_takes_nothing_from_the_others(store: Watched, shared: ReadCache) -> None:
    store.open.clear()
    first = asyncio.create_task(shared.get_many([LARGE.cid]))
    second = asyncio.create_task(shared.get_many([LARGE.cid]))
    await store.has_read.wait()
    first.cancel()
    store.open.set()
    assert await second == [LARGE]
    assert await shared.get_many([LARGE.cid]) == [LARGE]


async def test_a_broken_store_is_told_to_everybody_and_asked_again(store: Watched, shared: ReadCache) -> None:
    store.trouble = StoreUnavailable("the disk is gone")
    for _ in range(2):
        failures = await asyncio.gather(
            *(shared.get_many([LARGE.cid]) for _ in range(3)), return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [StoreUnavailable] * 3
    store.trouble = None
    assert await shared.get_many([LARGE.cid]) == [LARGE]


async def test_memory_is_bounded(store: Watched) -> None:
    async with open_shared_reads(store, 300_000) as shared:
        for _ in range(3):
            for block in (LARGE, OTHER, SMALL):
                assert await shared.get_many([block.cid]) == [block]
        assert "1 blocks" in repr(shared) or "2 blocks" in repr(shared)


async def test_what_was_wanted_longest_ago_is_forgotten_first(store: Watched) -> None:
    async with open_shared_reads(store, 450_000) as shared:
        for block in (LARGE, LARGE, OTHER, OTHER, LARGE, THIRD, THIRD):
            await shared.get_many([block.cid])
        store.asked.clear()
        await shared.get_many([LARGE.cid])
        await shared.get_many([THIRD.cid])
        assert store.asked == []
        await shared.get_many([OTHER.cid])
        assert store.asked == [OTHER.cid]


async def test_readers_are_counted_of_the_blocks_wanted_lately_only(
    store: Watched, shared: ReadCache
) -> None:
    await shared.get_many([LARGE.cid])
    for number in range(300):
        await shared.get_many([Block.of(b"%d" % number).cid])
    store.asked.clear()
    for _ in range(2):  # what was wanted long ago counts as wanted for the first time
        await shared.get_many([LARGE.cid])
    assert store.asked == [LARGE.cid] * 2


async def test_a_long_walk_in_memory_lets_others_have_their_turn(shared: ReadCache) -> None:
    await shared.get_many([SMALL.cid])
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    for _ in range(1000):
        await shared.get_many([SMALL.cid])
    beside.cancel()
    assert turns > 50
