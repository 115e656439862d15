"""A disk that rots: what is bad is never given, costs itself alone, is told, and is replaced when put."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from support.collecting import swept
from support.dags import cids, leaf, leaves

from blockstore.block import Block
from blockstore.errors import BlockNotFound, StoreCorrupt
from blockstore.pinning import gc
from blockstore.sqlite import statements
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore

PAGE = 16384
_CHANCE = random.Random(8)
SMALL = [Block.of(_CHANCE.randbytes(400)) for _ in range(1500)]
LARGE = [Block.of(_CHANCE.randbytes(300_000)) for _ in range(6)]
BLOCKS = [*SMALL, *LARGE]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store's file, with inner pages of table and index, overflow chains and a free list."""
    path = tmp_path_factory.mktemp("sound") / "blocks.db"

    async def fill() -> None:
        async with open_sqlite_blockstore(path) as store:
            await store.put_many(BLOCKS)
            gone = leaves(20, start=9000, size=50_000)
            await store.put_many(gone)
            await store.delete_many(cids(gone))

    asyncio.run(fill())
    return path.read_bytes()


def rot(sound: bytes, bad: Block) -> bytes:
    """That file with a bit of the block turned over, in every copy that balancing left behind."""
    end = bad.data[-64:]
    assert end in sound
    return sound.replace(end, bytes([end[0] ^ 0x10]) + end[1:])


def rotten(folder: Path, sound: bytes, bad: Block) -> Path:
    path = folder / "blocks.db"
    path.write_bytes(rot(sound, bad))
    return path


async def given(store: SqliteBlockstore, blocks: Sequence[Block]) -> list[bool]:
    """Whether each is given; none with other bytes than its own."""
    found = await store.get_many(cids(blocks))
    assert [one for one, block in zip(found, blocks, strict=True) if one not in (None, block)] == []
    return [one is not None for one in found]


@pytest.mark.parametrize("bad", [SMALL[7], LARGE[2]], ids=["small", "large"])
async def test_a_flipped_bit_makes_a_block_missing_and_nothing_else(
    tmp_path: Path, sound: bytes, bad: Block, caplog: pytest.LogCaptureFixture
) -> None:
    path = rotten(tmp_path, sound, bad)
    async with open_sqlite_blockstore(path) as store:
        for _ in range(2):
            assert await given(store, BLOCKS) == [block != bad for block in BLOCKS]
        with pytest.raises(BlockNotFound):
            await store.get(bad.cid)
        assert not await store.has(bad.cid)
        assert await store.missing(cids(BLOCKS)) == [bad.cid]
        assert [stat is None for stat in await store.stat(cids(BLOCKS))].count(True) == 1
        assert (await store.usage()).damaged == 1
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(told) == 1
    assert str(bad.cid) in told[0].getMessage()


@pytest.mark.parametrize("looked", [False, True], ids=["unseen", "seen"])
async def test_putting_the_good_bytes_again_replaces_it(tmp_path: Path, sound: bytes, looked: bool) -> None:
    bad = LARGE[0]
    path = rotten(tmp_path, sound, bad)
    async with open_sqlite_blockstore(path) as store:
        if looked:
            await given(store, [bad])
        await store.put_many([bad, SMALL[0]])
        assert await given(store, BLOCKS) == [True] * len(BLOCKS)
        assert (await store.usage()).damaged == 0
    async with open_sqlite_blockstore(path) as store:
        assert await given(store, BLOCKS) == [True] * len(BLOCKS)
        assert await store.missing(cids(BLOCKS)) == []


async def test_what_is_known_to_be_bad_is_missing_after_a_restart_without_a_look(
    tmp_path: Path, sound: bytes
) -> None:
    bad = LARGE[0]
    path = rotten(tmp_path, sound, bad)
    async with open_sqlite_blockstore(path) as store:
        await given(store, [bad])
    async with open_sqlite_blockstore(path) as store:
        assert await store.missing([bad.cid]) == [bad.cid]
        assert (await store.usage()).damaged == 1
    path.write_bytes(sound)  # it was the cable
    async with open_sqlite_blockstore(path) as store:
        assert await given(store, [bad]) == [True]
        assert (await store.usage()).damaged == 0


async def test_a_block_that_rots_again_after_it_came_again_is_missing_again(
    tmp_path: Path, sound: bytes
) -> None:
    bad = LARGE[0]
    path = rotten(tmp_path, sound, bad)
    async with open_sqlite_blockstore(path) as store:
        await store.put_many([bad])
    spare = path.with_name("blocks.spare.db")
    spare.write_bytes(rot(spare.read_bytes(), bad))
    async with open_sqlite_blockstore(path) as store:
        assert await given(store, [bad]) == [False]
        await store.put_many([bad])
        assert await given(store, BLOCKS) == [True] * len(BLOCKS)


def spoilt(page: bytes, how: str, chance: random.Random) -> bytes:
    if how == "noise":
        return chance.randbytes(PAGE)
    if how == "zeros":
        return bytes(PAGE)
    if how == "head":
        return chance.randbytes(64) + page[64:]
    changed = bytearray(page)
    for _ in range(3):
        changed[chance.randrange(PAGE)] ^= 1 << chance.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("how", ["noise", "zeros", "head", "bits"])
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_page_is_damaged_the_rest_is_served_and_all_can_be_put_again(
    tmp_path: Path, sound: bytes, how: str, seed: int
) -> None:
    chance = random.Random(f"{how}{seed}")
    number = chance.randrange(1, len(sound) // PAGE)
    page = spoilt(sound[number * PAGE : (number + 1) * PAGE], how, chance)
    path = tmp_path / "blocks.db"
    path.write_bytes(sound[: number * PAGE] + page + sound[(number + 1) * PAGE :])
    async with open_sqlite_blockstore(path) as store:
        await given(store, BLOCKS)
        await store.stat(cids(BLOCKS))
        await store.put_many(BLOCKS)
        assert await given(store, BLOCKS) == [True] * len(BLOCKS)
        more = leaves(200, start=20_000, size=3000)
        await store.put_many(more)
        for _ in range(4):  # whichever reader is asked
            assert await given(store, more) == [True] * len(more)
        await store.usage()
    async with open_sqlite_blockstore(path) as store:
        assert await given(store, [*BLOCKS, *more]) == [True] * (len(BLOCKS) + len(more))
        assert await store.missing(cids(BLOCKS)) == []


@pytest.mark.parametrize("first", [2, 3])
async def test_a_file_that_lost_its_inner_pages_takes_everything_again(
    tmp_path: Path, sound: bytes, first: int
) -> None:
    path = tmp_path / "blocks.db"
    path.write_bytes(sound[: first * PAGE] + b"\xa5" * (len(sound) - first * PAGE))
    async with open_sqlite_blockstore(path) as store:
        await given(store, BLOCKS)
        await store.put_many(BLOCKS)
        assert await given(store, BLOCKS) == [True] * len(BLOCKS)


@pytest.mark.parametrize("cut", [0, 100, 5000])
async def test_a_file_without_its_head_is_named(tmp_path: Path, sound: bytes, cut: int) -> None:
    path = tmp_path / "blocks.db"
    path.write_bytes(b"\xa5" * 100 + sound[100:] if cut == 0 else sound[:cut])
    with pytest.raises(StoreCorrupt, match=r"blocks\.db is damaged, or is not a database"):
        async with open_sqlite_blockstore(path):
            raise AssertionError("opened")


async def test_a_name_that_leads_to_another_block_is_like_none(tmp_path: Path) -> None:
    """An index entry whose row number was changed on the disk."""
    first, one, other = leaves(3, size=500)
    path = tmp_path / "blocks.db"
    async with open_sqlite_blockstore(path) as store:
        await store.put_many([first, one, other])
    data = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'blocks'"
        (page,) = connection.execute(query).fetchone()
    connection.close()
    start = (page - 1) * PAGE
    entry = data.index(one.cid.multihash, start, start + PAGE) + len(one.cid.multihash)
    entry_of_other = data.index(other.cid.multihash, start, start + PAGE) + len(other.cid.multihash)
    data[entry : entry + 1] = data[entry_of_other : entry_of_other + 1]
    path.write_bytes(data)
    async with open_sqlite_blockstore(path) as store:
        assert await given(store, [other, one]) == [True, False]
        await store.put_many([one])
        assert await given(store, [other, one]) == [True, True]


async def test_a_page_that_lies_where_another_belongs_takes_nothing_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, garbage = tmp_path / "blocks.db", leaves(40, size=9000)
    kept = [leaf(1000 + number, size=9000) for number in range(5)]
    async with open_sqlite_blockstore(path) as store:
        await store.put_many([*garbage, *kept])
        for number in range(30):
            await store.marks.mark(bytes([number]) * 16)
    data = path.read_bytes()
    marks, blocks = (data.index(part) // PAGE * PAGE for part in (bytes([29]) * 16, garbage[-3].data[:99]))
    swapped = bytearray(data)
    swapped[marks : marks + PAGE] = data[blocks : blocks + PAGE]
    swapped[blocks : blocks + PAGE] = data[marks : marks + PAGE]
    path.write_bytes(swapped)
    async with open_sqlite_blockstore(path) as store:
        before = [block for block in kept if await store.has(block.cid)]
        assert before
        assert [page async for page in swept(store, roots(before))] == []
        assert await store.missing(cids(before)) == []
    assert "no garbage is collected of" in caplog.text


async def roots(blocks: Sequence[Block]) -> AsyncIterator[gc.Root]:
    for block in blocks:
        yield gc.Root(block.cid)


async def test_a_disk_that_does_not_answer_is_not_rot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks, mute = SMALL[:20], SMALL[3]
    look = statements.bodies

    def unanswered(connection: sqlite3.Connection, names: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
        if mute.cid.multihash in names:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_READ"
            raise error
        return look(connection, names)

    async with open_sqlite_blockstore(tmp_path / "blocks.db") as store:
        await store.put_many(blocks)
        monkeypatch.setattr(statements, "bodies", unanswered)  # white box: a sector that cannot be read
        found = await store.verify(cids(blocks))
        assert ([*found.unreadable], [*found.damaged], found.blocks) == ([mute.cid], [], 19)
        assert await given(store, blocks) == [block != mute for block in blocks]
        assert (await store.usage()).damaged == 0
        monkeypatch.undo()
        assert await given(store, blocks) == [True] * 20
        assert (await store.verify(cids(blocks))).blocks == 20
