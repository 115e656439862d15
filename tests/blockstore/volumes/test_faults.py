"""Disks that fail, fill up, vanish or were exchanged: a clear word, the rest served, nothing lost."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.collecting import each, names_swept
from support.dags import cids, leaves
from support.disk import small_disk
from support.verifying import damaged

from blockstore.block import Block
from blockstore.errors import BlockNotFound, StorageFull, StoreCorrupt, StoreUnavailable
from blockstore.pinning import gc
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from blockstore.volumes.store import VolumeBlockstore
from blockstore.volumes.volume_disk import OsDisk, VolumeDisk

KIB = 1024
_CHANCE = random.Random(12)
LARGE = [Block.of(_CHANCE.randbytes(60 * KIB)) for _ in range(30)]
SMALL = leaves(20, size=500)
VOLUME_BYTES = 512 * KIB


@asynccontextmanager
async def opened(
    folder: Path, disk: VolumeDisk | None = None, folders: Sequence[Path] = ()
) -> AsyncIterator[VolumeBlockstore]:
    options = VolumeOptions(folders=folders, volume_bytes=VOLUME_BYTES, disk=disk or OsDisk())
    async with open_volume_blockstore(folder / "blocks.db", options=options) as store:
        yield store


async def fill(folder: Path) -> None:
    async with opened(folder) as store:
        await store.put_many([*LARGE, *SMALL])


async def here(store: VolumeBlockstore, blocks: Sequence[Block] = LARGE) -> list[bool]:
    """Whether each is given; none with other bytes than its own, and what is not given is missing."""
    found = await store.get_many(cids(blocks))
    assert [one for one, block in zip(found, blocks, strict=True) if one not in (None, block)] == []
    given = [one is not None for one in found]
    missing = [block.cid for block, one in zip(blocks, given, strict=True) if not one]
    assert set(await store.missing(cids(blocks))) <= set(missing)
    return given


def volumes(folder: Path) -> list[Path]:
    return sorted(folder.glob("volumes/*.vol"))


class FullDisk(OsDisk):
    """Full at the nth write, of which half gets through."""

    def __init__(self, at: int) -> None:
        self.left = at

    def append(self, file: int, parts: Sequence[bytes], start: int) -> None:
        self.left -= 1
        if self.left == 0:
            whole = b"".join(parts)
            super().append(file, [whole[: len(whole) // 2]], start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().append(file, parts, start)


@pytest.mark.parametrize("at", range(1, 9))
async def test_a_write_that_finds_no_room_leaves_nothing_and_the_next_one_goes(
    tmp_path: Path, at: int
) -> None:
    disk = FullDisk(at)
    async with opened(tmp_path, disk) as store:
        kept: list[Block] = []
        refused: list[Block] = []
        for start in range(0, 30, 5):
            try:
                await store.put_many(LARGE[start : start + 5])
                kept += LARGE[start : start + 5]
            except StorageFull:
                refused += LARGE[start : start + 5]
        assert len(refused) == 5
        assert await store.missing(cids(LARGE)) == cids(refused)
        assert (await store.usage()).blocks == 25
    async with opened(tmp_path) as store:
        assert await store.missing(cids(LARGE)) == cids(refused)
        await store.put_many(LARGE)
        assert all(await here(store))
        assert await damaged(store) == []


class FailingSync(OsDisk):
    """Syncs of volumes fail while `failing`; what is told to be lost was not written."""

    def __init__(self) -> None:
        self.failing = False
        self.syncs = 0
        self.loses: bytes = b""

    def sync(self, file: int) -> None:
        self.syncs += 1
        if self.failing:
            data = os.pread(file, 2**30, 0)
            if self.loses and (place := data.find(self.loses)) >= 0:
                os.pwrite(file, bytes(len(self.loses)), place)
                os.fsync(file)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(file)


async def test_a_sync_that_fails_is_told_and_not_tried_again_and_what_was_lost_is_missing(
    tmp_path: Path,
) -> None:
    disk = FailingSync()
    async with opened(tmp_path, disk) as store:
        await store.put_many(LARGE[:3])
        await store.flush()
        await store.put_many(LARGE[3:6])
        disk.failing, disk.loses = True, LARGE[4].data[1000:9000]
        with pytest.raises(StoreUnavailable, match="the disk did not take what was written to volume 1"):
            await store.flush()
        assert await here(store, LARGE[:6]) == [True, True, True, True, False, True]
        await store.until_damaged()
        disk.failing, disk.syncs = False, 0
        await store.flush()
        assert disk.syncs == 0, "a sync that failed says that all is well when it is asked again"
        await store.put_many(LARGE[4:8])
        await store.flush()
        assert all(await here(store, LARGE[:8]))
    assert [path.name for path in volumes(tmp_path)] == ["00000001.vol", "00000002.vol"]
    async with opened(tmp_path) as store:
        assert all(await here(store, LARGE[:8]))


async def test_a_volume_that_vanished_costs_its_blocks_alone_and_they_can_come_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(tmp_path)
    volumes(tmp_path)[1].rename(tmp_path / "aside")
    async with opened(tmp_path) as store:
        given = await here(store)
        assert 5 < given.count(False) < 12
        assert await here(store, SMALL) == [True] * len(SMALL)
        lost = [block for block, one in zip(LARGE, given, strict=True) if not one]
        assert await store.missing(cids(LARGE)) == cids(lost)
        with pytest.raises(BlockNotFound):
            await store.get(lost[0].cid)
        await store.put_many(lost[:4])
        assert (await here(store, lost)).count(True) == 4
    assert "1 volumes with" in caplog.text
    (tmp_path / "aside").rename(tmp_path / "volumes/00000002.vol")
    async with opened(tmp_path) as store:
        assert all(await here(store)), "it is back"
        assert await damaged(store) == []


async def test_garbage_of_a_volume_that_is_away_can_be_collected(tmp_path: Path) -> None:
    await fill(tmp_path)
    volumes(tmp_path)[1].unlink()
    async with opened(tmp_path) as store:
        kept = [block for block, one in zip(LARGE, await here(store), strict=True) if one][:5]
        await names_swept(store, each([gc.Root(block.cid) for block in kept]))
        await gc.give_back(store)
        assert all(await here(store, kept))
    async with opened(tmp_path) as store:
        assert all(await here(store, kept))
        assert (await store.usage()).blocks == 5


@pytest.mark.parametrize("number", [0, 1, -1])
@pytest.mark.parametrize("left", [0, 10, 64, 100_000])
async def test_a_volume_that_was_cut_costs_what_lay_behind(tmp_path: Path, number: int, left: int) -> None:
    await fill(tmp_path)
    os.truncate(volumes(tmp_path)[number], left)
    async with opened(tmp_path) as store:
        given = await here(store)
        assert given.count(False) > 0
        assert given.count(True) > 15
        await store.put_many(LARGE)
        assert all(await here(store))
    async with opened(tmp_path) as store:
        assert all(await here(store))


@pytest.mark.parametrize("seed", range(6))
async def test_flipped_bytes_anywhere_in_a_volume_are_never_given(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    await fill(tmp_path)
    for path in volumes(tmp_path):
        data = bytearray(path.read_bytes())
        for place in [0, 10, 30, *(chance.randrange(len(data)) for _ in range(3))]:
            data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
    async with opened(tmp_path) as store:
        assert (await here(store)).count(False) <= 3 * len(volumes(tmp_path))
        await damaged(store)
        given = await here(store)
        await store.put_many(LARGE)
        assert all(await here(store))
        await names_swept(store, each([gc.Root(block.cid) for block in LARGE[::4]]))
        await gc.give_back(store)
        assert all(await here(store, LARGE[::4]))
    assert given.count(True) > 10


async def test_another_file_in_the_place_of_a_volume_is_not_taken_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(tmp_path)
    first, second = volumes(tmp_path)[:2]
    shutil.copy(first, second)
    async with opened(tmp_path) as store:
        given = await here(store)
        assert 5 < given.count(False) < 12
        await store.put_many(LARGE)
        assert all(await here(store))
        assert await damaged(store) == []


class Unreadable(OsDisk):
    """The volume whose head it is to open does not answer."""

    def __init__(self) -> None:
        self.name = ""

    def open(self, path: Path) -> int:
        if path.name == self.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().open(path)


async def test_a_disk_that_does_not_answer_is_not_rot(tmp_path: Path) -> None:
    await fill(tmp_path)
    disk = Unreadable()
    disk.name = volumes(tmp_path)[0].name
    async with opened(tmp_path, disk) as store:
        assert (await here(store)).count(False) > 5
        assert (await store.usage()).damaged == 0
        assert len((await store.verify(cids(LARGE))).unreadable) > 5
        disk.name = ""
        assert all(await here(store))


async def test_a_copied_folder_is_the_same_store(tmp_path: Path) -> None:
    await fill(tmp_path)
    async with opened(tmp_path) as store:
        await store.delete_many(cids(LARGE[::2]))
        await gc.give_back(store)
    shutil.copytree(tmp_path, tmp_path / "copy")
    async with opened(tmp_path / "copy") as store:
        assert await here(store) == [number % 2 == 1 for number in range(30)]
        await store.put_many(LARGE)
        assert all(await here(store))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anyway")
async def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    await fill(tmp_path)
    (tmp_path / "volumes").chmod(0o500)
    try:
        async with opened(tmp_path) as store:
            assert all(await here(store))
    finally:
        (tmp_path / "volumes").chmod(0o700)


async def test_an_index_that_lost_everything_does_not_open_beside_its_volumes(tmp_path: Path) -> None:
    await fill(tmp_path)
    (tmp_path / "blocks.db").unlink()
    options = VolumeOptions(volume_bytes=VOLUME_BYTES, adopted_bytes=1000)
    with pytest.raises(StoreCorrupt, match="the index was lost; make it again with `pinfold store rebuild`"):
        async with open_volume_blockstore(tmp_path / "blocks.db", options=options):
            raise AssertionError("opened")


async def test_a_small_store_that_lost_its_index_makes_it_again(tmp_path: Path) -> None:
    await fill(tmp_path)
    (tmp_path / "blocks.db").unlink()
    async with opened(tmp_path) as store:
        assert all(await here(store))
        assert await here(store, SMALL) == [False] * len(SMALL)
        assert (await store.usage()).bytes == sum(len(block.data) for block in LARGE)


async def test_several_folders_are_filled_and_losing_one_loses_its_blocks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with opened(tmp_path, folders=[other]) as store:
        await store.put_many(LARGE)
    assert (other / "pinfold-volumes").exists()
    moved = volumes(tmp_path)[0]
    moved.rename(other / moved.name)
    async with opened(tmp_path, folders=[other]) as store:
        assert all(await here(store)), "a volume may lie in any of the folders"
    other.rename(tmp_path / "unmounted")
    other.mkdir()
    async with opened(tmp_path, folders=[other]) as store:
        assert "is its disk mounted?" in caplog.text
        given = await here(store)
        assert 5 < given.count(False) < 20
        await store.put_many(LARGE)
        assert all(await here(store))
    assert not [*other.iterdir()], "nothing is written below a mount point where nothing is mounted"
    other.rmdir()
    (tmp_path / "unmounted").rename(other)
    async with opened(tmp_path, folders=[other]) as store:
        assert all(await here(store))
        assert await damaged(store) == []


async def test_a_disk_that_fills_up_has_the_next_blocks_go_to_another_one(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 8) as small, small_disk(tmp_path / "large", 40) as large:
        (small / "volumes").mkdir()
        blocks = [Block.of(_CHANCE.randbytes(500 * KIB)) for _ in range(60)]
        async with opened(small, folders=[large]) as store:
            for start in range(0, 60, 4):
                await store.put_many(blocks[start : start + 4])
            assert all(await here(store, blocks))
            with pytest.raises(StorageFull):
                await store.put_many([Block.of(_CHANCE.randbytes(500 * KIB)) for _ in range(60)])
            assert all(await here(store, blocks))
        assert len([*large.glob("*.vol")]) > 5
