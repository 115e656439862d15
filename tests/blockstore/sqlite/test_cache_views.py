"""Content that was only read makes way; what is pinned or added does not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, closing, suppress
from pathlib import Path

import pytest
from support.collecting import swept
from support.dags import cids, leaf, leaves, tree
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.block_waiters import BlockWaiters
from blockstore.blocks import Blocks
from blockstore.errors import StorageFull
from blockstore.pinning import gc
from blockstore.pinning.local_pinner import open_local_pins
from blockstore.sqlite.cache_views import CachingStore, ClaimingStore
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.volumes.open_store import open_volume_blockstore

SIZE = 10_000


@pytest.fixture(params=[open_sqlite_blockstore, open_volume_blockstore])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteBlockstore]:
    """Room for ten blocks, of which four may be cached."""
    async with request.param(tmp_path / "blocks.db", quota=10 * SIZE, cache_share=0.4) as opened:
        yield opened


async def here(store: SqliteBlockstore, blocks: Sequence[Block]) -> list[bool]:
    missing = set(await store.missing(cids(blocks)))
    return [block.cid not in missing for block in blocks]


async def test_what_was_read_takes_its_share_and_the_least_recently_used_goes(
    store: SqliteBlockstore,
) -> None:
    caching, blocks = CachingStore(store), leaves(6, size=SIZE)
    for block in blocks[:4]:
        await caching.put_many([block])
    assert (await store.usage()).cached == 4 * SIZE
    await caching.get_many([blocks[0].cid])
    await caching.put_many([blocks[4]])
    await caching.put_many([blocks[5]])
    assert await here(store, blocks) == [True, False, False, True, True, True]
    assert (await store.usage()).cached == 4 * SIZE


async def test_a_block_above_the_share_is_not_kept(store: SqliteBlockstore) -> None:
    large = leaf(1, size=5 * SIZE)
    await CachingStore(store).put_many([large])
    assert await here(store, [large]) == [False]


async def test_what_is_added_takes_the_place_of_what_was_read(store: SqliteBlockstore) -> None:
    read, added = leaves(4, size=SIZE), leaves(9, start=10, size=SIZE)
    for block in read:
        await CachingStore(store).put_many([block])
    assert (await store.usage()).free == 10 * SIZE
    await store.put_many(added)
    assert all(await here(store, added))
    assert await here(store, read) == [False, False, False, True]


async def test_what_can_never_fit_takes_nobodys_place(store: SqliteBlockstore) -> None:
    read = leaf(1, size=SIZE)
    await CachingStore(store).put_many([read])
    with pytest.raises(StorageFull, match="quota"):
        await store.put_many(leaves(11, start=10, size=SIZE))
    assert await here(store, [read]) == [True]


async def test_what_is_not_cached_is_never_evicted(store: SqliteBlockstore) -> None:
    added = leaves(8, size=SIZE)
    await store.put_many(added)
    for block in leaves(6, start=20, size=SIZE):
        await CachingStore(store).put_many([block])
    assert all(await here(store, added))
    assert (await store.usage()).bytes == 10 * SIZE


async def test_what_is_added_again_stays(store: SqliteBlockstore) -> None:
    block = leaf(1, size=SIZE)
    await CachingStore(store).put_many([block])
    await store.put_many([block])
    for other in leaves(8, start=20, size=SIZE):
        await CachingStore(store).put_many([other])
    assert await here(store, [block]) == [True]


@pytest.mark.parametrize("look", ["get", "get_many", "has", "missing", "stat", "size"])
async def test_what_a_pin_or_an_import_saw_stays(store: SqliteBlockstore, look: str) -> None:
    block = leaf(1, size=SIZE)
    await CachingStore(store).put_many([block])
    one = look in ("get", "has", "size")
    await getattr(ClaimingStore(store), look)(block.cid if one else [block.cid])
    for other in leaves(8, start=20, size=SIZE):
        await CachingStore(store).put_many([other])
    assert await here(store, [block]) == [True]


async def test_a_pin_keeps_what_was_read_before_it(store: SqliteBlockstore, tmp_path: Path) -> None:
    dag = tree(width=3, height=1)
    for block in dag:
        await CachingStore(store).put_many([block])
    blocks = Blocks(ClaimingStore(store), RemoteBlocks([]))
    async with open_local_pins(tmp_path / "pins.db", blocks) as pins:
        await pins.pin(dag[0].cid, recursive=True, hints=(), progress=lambda *_: None)
    for other in leaves(9, start=20, size=SIZE):
        await CachingStore(store).put_many([other])
    assert all(await here(store, dag))


async def test_a_pin_that_gets_a_block_from_a_reader_keeps_it(store: SqliteBlockstore) -> None:
    """Both wait for it; the reader's fetch ends first and stores it as read only."""
    block, waiters = leaf(1, size=SIZE), BlockWaiters()
    silent = RemoteBlocks([block])
    silent.hold()
    reader = Blocks(CachingStore(store), RemoteBlocks([block]), waiters=waiters)
    pinner = Blocks(ClaimingStore(store), silent, waiters=waiters)
    pinning = asyncio.create_task(pinner.get(block.cid))
    await silent.until_running(1)
    await reader.get(block.cid)
    assert await pinning == block
    for other in leaves(8, start=20, size=SIZE):
        await CachingStore(store).put_many([other])
    assert await here(store, [block]) == [True]


async def test_a_collection_takes_what_was_read_and_its_entry(store: SqliteBlockstore) -> None:
    await CachingStore(store).put_many(leaves(3, size=SIZE))

    async def roots() -> AsyncIterator[gc.Root]:
        for root in list[gc.Root]():
            yield root

    async with aclosing(swept(store, roots())) as pages:
        assert sum([len(page.cids) async for page in pages]) == 3
    usage = await store.usage()
    assert (usage.blocks, usage.cached) == (0, 0)


async def test_a_restart_remembers_what_was_only_read(tmp_path: Path) -> None:
    blocks = leaves(3, size=SIZE)
    for _ in range(2):
        async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=4 * SIZE, cache_share=1) as store:
            await CachingStore(store).put_many(blocks)
            assert (await store.usage()).cached == 3 * SIZE
    async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=4 * SIZE) as store:
        await store.put_many(leaves(4, start=20, size=SIZE))
        assert await here(store, blocks) == [False] * 3


@pytest.mark.parametrize("damage", ["id = id - 10", "mh = x'1220'"])
async def test_a_damaged_entry_has_no_other_block_evicted(tmp_path: Path, damage: str) -> None:
    kept, read = leaves(10, size=1000), leaves(10, start=100, size=1000)
    async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=40_000, cache_share=0.5) as store:
        await store.put_many(kept)
        await CachingStore(store).put_many(read)
    with closing(sqlite3.connect(tmp_path / "blocks.db")) as rows:
        rows.execute(f"UPDATE cache SET {damage}")
        rows.commit()
    async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=40_000, cache_share=0.5) as store:
        await CachingStore(store).put_many(leaves(15, start=200, size=1000))
        with suppress(StorageFull):  # perhaps what cannot be known to be cached stays
            await store.put_many(leaves(16, start=300, size=1000))
        assert all(await here(store, kept))


async def test_what_a_reader_brings_while_a_pin_looks_for_it_is_claimed_or_missing(
    store: SqliteBlockstore,
) -> None:
    claiming, caching = ClaimingStore(store), CachingStore(store)
    await caching.put_many(leaves(1))
    for number in range(1, 150):
        block = leaf(number)
        missing, _ = await asyncio.gather(claiming.missing([block.cid]), caching.put_many([block]))
        cached = (await store.usage()).cached
        await claiming.missing([block.cid])
        was_cached = (await store.usage()).cached < cached
        assert bool(missing) or not was_cached
