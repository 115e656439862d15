"""What SQLite adds to the contract: it stays, it shrinks, it notices damage."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.dags import cids, leaf, leaves
from support.verifying import damaged

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.errors import StorageFull, StoreUnavailable
from blockstore.sqlite.open_store import open_sqlite_blockstore


async def test_blocks_and_counts_are_there_after_reopening(tmp_path: Path) -> None:
    blocks = leaves(300)
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as store:
        await store.put_many(blocks)
        await store.delete_many(cids(blocks[:100]))
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as store:
        assert await store.missing(cids(blocks)) == cids(blocks[:100])
        assert await store.get_many(cids(blocks[100:])) == blocks[100:]
        usage = await store.usage()
        assert (usage.blocks, usage.bytes) == (200, 200 * 32)


async def test_a_quota_counts_what_was_there_before(tmp_path: Path) -> None:
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as store:
        await store.put_many(leaves(3))
    async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=100) as store:
        with pytest.raises(StorageFull, match="quota"):
            await store.put_many([leaf(9)])
    async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=50) as store:
        assert (await store.usage()).free == 0
        assert await store.get(leaf(1).cid) == leaf(1)


async def test_the_reserve_of_the_disk_is_never_used(tmp_path: Path) -> None:
    async with open_sqlite_blockstore(tmp_path / "blocks.db", reserve=2**60) as store:
        with pytest.raises(StorageFull, match=r"disk space: 32 B more .*1024 PiB are kept in reserve"):
            await store.put_many([leaf(1)])
        assert not await store.has(leaf(1).cid)
        assert (await store.usage()).free == 0


async def test_freed_space_is_filled_again_and_given_back_on_request(tmp_path: Path) -> None:
    path = tmp_path / "blocks.db"
    blocks = leaves(64, size=100_000)
    async with open_sqlite_blockstore(path) as store:
        await store.put_many(blocks)
        await store.delete_many(cids(blocks))
        left = await store.reclaim(100)
        assert left > 200
        assert await store.reclaim(100) == left - 100
        await store.put_many(blocks[:20])
        while await store.reclaim(100):
            pass
        assert await store.get_many(cids(blocks[:20])) == blocks[:20]
    assert path.stat().st_size < 40 * 100_000


async def test_changed_bytes_are_found_by_hashing_anew(tmp_path: Path) -> None:
    path = tmp_path / "blocks.db"
    blocks = leaves(100)
    async with open_sqlite_blockstore(path) as store:
        await store.put_many(blocks)
        assert await damaged(store) == []
    with sqlite3.connect(path) as connection:
        changed = [(b"rotten", blocks[number].cid.multihash) for number in (3, 77)]
        connection.executemany("UPDATE blocks SET data = ? WHERE mh = ?", changed)
    connection.close()
    async with open_sqlite_blockstore(path) as store:
        found = set(await damaged(store))
    assert found == {blocks[3].cid, blocks[77].cid}


async def test_a_block_whose_hash_nobody_knows_counts_as_changed(tmp_path: Path) -> None:
    stranger = Block(CID.v1(RAW, b"\xd4\x01\x10" + bytes(16)), b"md4?")
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as store:
        await store.put_many([stranger, leaf(1)])
        assert await damaged(store) == [stranger.cid]


async def test_a_flush_that_cannot_be_made_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async with open_sqlite_blockstore(tmp_path / "blocks.db") as store:
        await store.put_many([leaf(1)])
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreUnavailable, match=r"cannot sync .*blocks\.db: Input/output error"):
            await store.flush()


@pytest.mark.parametrize(
    "damage", ["bytes = -5", "bytes = 1 << 60", "blocks = NULL", "bytes = x'00'", "blocks = 0"]
)
async def test_sums_that_cannot_be_right_are_made_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "blocks.db"
    async with open_sqlite_blockstore(path) as store:
        await store.put_many(leaves(20))
    with closing(sqlite3.connect(path)) as rows:
        rows.execute(f"UPDATE totals SET {damage}")
        rows.commit()
    async with open_sqlite_blockstore(path, quota=10_000) as store:
        usage = await store.usage()
        assert (usage.blocks, usage.bytes) == (20, 20 * 32)
        await store.put_many(leaves(20, start=100))
