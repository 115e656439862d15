"""The index made again, from whatever was left of it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.dags import cids, leaves
from support.verifying import damaged

from blockstore.block import Block
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from blockstore.volumes.rebuild import rebuild_index

KIB = 1024
_CHANCE = random.Random(14)
LARGE = [Block.of(_CHANCE.randbytes(60 * KIB)) for _ in range(30)]
SMALL = leaves(3000, size=900)
OPTIONS = VolumeOptions(volume_bytes=512 * KIB, adopted_bytes=1000)


async def fill(path: Path) -> None:
    async with open_volume_blockstore(path, options=OPTIONS) as store:
        await store.put_many([*LARGE, *SMALL])
        await store.delete_many(cids(LARGE[::5]))


def gone(path: Path) -> None:
    path.unlink()


def headless(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(os.urandom(200) + data[200:])


def full_of_holes(path: Path) -> None:
    """A third of its pages, but not those that say what is where."""
    data = bytearray(path.read_bytes())
    for page in range(30, len(data) // 16384, 3):
        data[page * 16384 : (page + 1) * 16384] = os.urandom(16384)
    path.write_bytes(data)


def whole(path: Path) -> None:
    """Nothing happened to it."""


@pytest.mark.parametrize(
    ("spoil", "least"), [(gone, 0), (headless, 0), (full_of_holes, 1000), (whole, len(SMALL))]
)
async def test_what_can_be_read_is_there_again(
    tmp_path: Path, spoil: Callable[[Path], None], least: int
) -> None:
    path = tmp_path / "blocks.db"
    await fill(path)
    spoil(path)
    before = path.read_bytes() if path.exists() else b""
    read: list[int] = []
    found = await rebuild_index(path, OPTIONS, read.append)
    assert sum(read) >= sum(len(block.data) for block in LARGE)
    async with open_volume_blockstore(path, options=OPTIONS) as store:
        assert await store.get_many(cids(LARGE)) == LARGE  # deleted ones come back as garbage
        small = await store.get_many(cids(SMALL))
        assert len(SMALL) - small.count(None) >= least
        assert [one for one, block in zip(small, SMALL, strict=True) if one not in (None, block)] == []
        usage = await store.usage()
        assert (usage.blocks, usage.bytes) == (found.blocks, found.bytes)
        assert await damaged(store) == []
        await store.put_many(SMALL)
        assert await store.get_many(cids(SMALL)) == SMALL
    assert (found.old is not None) == bool(before)
    if found.old:
        assert found.old.read_bytes() == before, "the old index is set aside as it was"


async def test_an_interrupted_rebuild_can_be_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "blocks.db"
    await fill(path)
    (tmp_path / "blocks.new.db").write_bytes(path.read_bytes()[:100_000])
    (tmp_path / "blocks.new.db-wal").write_bytes(b"half")
    await rebuild_index(path, OPTIONS)
    async with open_volume_blockstore(path, options=OPTIONS) as store:
        assert await store.get_many(cids([*LARGE, *SMALL])) == [*LARGE, *SMALL]


async def test_blocks_that_were_not_moved_into_volumes_yet_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "blocks.db"
    async with open_sqlite_blockstore(path) as store:
        await store.put_many([*LARGE, *SMALL[:10]])
    await rebuild_index(path, OPTIONS)
    async with open_volume_blockstore(path, options=OPTIONS) as store:
        assert await store.get_many(cids([*LARGE, *SMALL[:10]])) == [*LARGE, *SMALL[:10]]


async def test_damage_in_the_volumes_costs_the_blocks_that_it_hit(tmp_path: Path) -> None:
    path = tmp_path / "blocks.db"
    await fill(path)
    volume = tmp_path / "volumes/00000001.vol"
    data = bytearray(volume.read_bytes())
    data[70] ^= 1  # the head of the first record
    data[200_000] ^= 1  # a block
    volume.write_bytes(data)
    path.unlink()
    await rebuild_index(path, OPTIONS)
    async with open_volume_blockstore(path, options=OPTIONS) as store:
        found = await store.get_many(cids(LARGE))
        assert found.count(None) == 2
        assert [one for one, block in zip(found, LARGE, strict=True) if one not in (None, block)] == []
        await store.put_many(LARGE)
        assert await store.get_many(cids(LARGE)) == LARGE
