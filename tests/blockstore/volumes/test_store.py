"""Where large blocks lie, what comes back from the disk when they go, and what a restart finds."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.collecting import each, names_swept
from support.dags import cids, leaves
from support.verifying import damaged

from blockstore.block import Block
from blockstore.pinning import gc
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from blockstore.volumes.store import VolumeBlockstore
from blockstore.volumes.volume_disk import OsDisk

KIB = 1024
_CHANCE = random.Random(11)
LARGE = [Block.of(_CHANCE.randbytes(300 * KIB)) for _ in range(16)]


@asynccontextmanager
async def opened(folder: Path, volume_bytes: int = 2**20) -> AsyncIterator[VolumeBlockstore]:
    options = VolumeOptions(volume_bytes=volume_bytes)
    async with open_volume_blockstore(folder / "blocks.db", options=options) as store:
        yield store


def held(folder: Path) -> int:
    """Bytes that the volumes take on the disk."""
    return sum(file.stat().st_blocks * 512 for file in (folder / "volumes").glob("*.vol"))


async def collect(store: VolumeBlockstore, kept: list[Block]) -> None:
    await names_swept(store, each([gc.Root(block.cid) for block in kept]))
    await gc.give_back(store)


async def given(store: VolumeBlockstore, blocks: list[Block]) -> bool:
    return await store.get_many(cids(blocks)) == blocks


async def test_large_blocks_are_written_once_and_small_ones_lie_in_their_rows(tmp_path: Path) -> None:
    small = leaves(50, size=500)
    async with opened(tmp_path) as store:
        await store.put_many([*LARGE, *small])
        await store.flush()
        assert await given(store, [*LARGE, *small])
    files = sorted((tmp_path / "volumes").glob("*.vol"))
    size = sum(len(block.data) for block in LARGE)
    assert size < sum(file.stat().st_size for file in files) < size + 100 * len(LARGE) + 64 * len(files)
    assert (tmp_path / "blocks.db").stat().st_size < 400 * KIB
    assert len(files) > 3, "a volume that is full is followed by the next"


async def test_a_restart_finds_everything_and_goes_on_in_the_same_volume(tmp_path: Path) -> None:
    for number, block in enumerate(LARGE[:3]):
        async with opened(tmp_path) as store:
            await store.put_many([block])
            assert await given(store, LARGE[: number + 1])
    assert len([*(tmp_path / "volumes").glob("*.vol")]) == 1


async def test_what_is_here_is_not_written_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.put_many(LARGE[:4])
        before = held(tmp_path)
        await store.put_many(LARGE[:4])
        assert held(tmp_path) == before


async def test_what_was_collected_is_back_on_the_disk_when_the_collection_ends(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.put_many(LARGE)
        kept = [LARGE[0], LARGE[5]]
        await store.flush()
        await collect(store, kept)
        assert held(tmp_path) < 2 * 310 * KIB + 64 * KIB
        assert await given(store, kept)
        assert await store.missing(cids(LARGE)) == [block.cid for block in LARGE if block not in kept]
    async with opened(tmp_path) as store:
        assert await given(store, kept)
        assert await damaged(store) == []


async def test_volumes_that_are_less_than_half_alive_are_copied_where_holes_are_too_small(
    tmp_path: Path,
) -> None:
    blocks = leaves(400, size=10 * KIB)
    kept = blocks[::3]
    async with opened(tmp_path) as store:
        await store.put_many(blocks)
        await store.flush()
        await collect(store, kept)
        assert await given(store, kept)
        assert held(tmp_path) < 1.3 * sum(len(block.data) for block in kept) + 2**20
    async with opened(tmp_path) as store:
        assert await given(store, kept)
        assert await damaged(store) == []
        assert (await store.usage()).blocks == len(kept)


class NoHoles(OsDisk):
    def can_punch(self, folder: Path) -> bool:
        return False


async def test_without_hole_punching_volumes_are_copied(tmp_path: Path) -> None:
    options = VolumeOptions(volume_bytes=2**20, disk=NoHoles())
    async with open_volume_blockstore(tmp_path / "blocks.db", options=options) as store:
        await store.put_many(LARGE)
        kept = [LARGE[0], LARGE[5]]
        await collect(store, kept)
        assert await given(store, kept)
        assert held(tmp_path) < 4 * 310 * KIB
    async with opened(tmp_path) as store:
        assert await given(store, kept)


async def test_a_block_that_was_deleted_can_be_put_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.put_many(LARGE)
        await store.delete_many(cids(LARGE[:8]))
        await store.put_many(LARGE[4:12])
        await gc.give_back(store)
        assert await store.missing(cids(LARGE)) == cids(LARGE[:4])
        assert await given(store, LARGE[4:])


async def test_a_clean_restart_looks_at_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as store:
        await store.put_many(LARGE)

    def looked(*_: object) -> None:
        raise AssertionError("a volume was looked through")

    scan = "blockstore.volumes.opening_scan.sound_records"
    monkeypatch.setattr(scan, looked)  # white box: times say little on a shared machine
    async with opened(tmp_path) as store:
        assert await given(store, LARGE)


async def test_files_that_are_no_volumes_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as store:
        await store.put_many(LARGE[:2])
    strangers = [tmp_path / "volumes" / name for name in ("notes.txt", "00000099.vol")]
    for stranger in strangers:
        stranger.write_bytes(os.urandom(5000))
    async with opened(tmp_path) as store:
        await store.put_many(LARGE)
        await collect(store, LARGE[:3])
        assert await given(store, LARGE[:3])
    assert all(stranger.stat().st_size == 5000 for stranger in strangers)
    assert "00000099.vol is passed over" in caplog.text


async def test_usage_counts_blocks_wherever_they_lie(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.put_many([*LARGE[:3], *leaves(5, size=100)])
        await store.delete_many([LARGE[0].cid])
        usage = await store.usage()
        assert (usage.blocks, usage.bytes) == (7, 2 * 300 * KIB + 500)
        here = {cid.multihash async for cid in store.keys()}  # noqa: SIM118  not a dict
        assert here == {block.cid.multihash for block in [*LARGE[1:3], *leaves(5, size=100)]}
