"""A folder of an earlier release: its blocks move into volumes while the store is at work."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.collecting import each, names_swept
from support.dags import cids, leaves
from support.power_loss import History, RecordingDisk, commits_recorded, left_after
from support.verifying import damaged

from blockstore.block import Block
from blockstore.pinning import gc
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from blockstore.volumes.store import VolumeBlockstore
from blockstore.volumes.volume_disk import OsDisk, VolumeDisk

KIB = 1024
_CHANCE = random.Random(13)
SMALL = leaves(100, size=700)
LARGE = [Block.of(_CHANCE.randbytes(_CHANCE.choice([3, 40, 300]) * KIB)) for _ in range(150)]
BLOCKS = [*SMALL[:50], *LARGE, *SMALL[50:]]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of blocks of an earlier release."""
    path = tmp_path_factory.mktemp("old") / "blocks.db"

    async def make() -> None:
        async with open_sqlite_blockstore(path) as store:
            for start in range(0, len(BLOCKS), 10):
                await store.put_many(BLOCKS[start : start + 10])

    asyncio.run(make())
    return path.read_bytes()


@asynccontextmanager
async def opened(
    folder: Path, old: bytes | None = None, disk: VolumeDisk | None = None
) -> AsyncIterator[VolumeBlockstore]:
    if old is not None:
        (folder / "blocks.db").write_bytes(old)
    options = VolumeOptions(volume_bytes=2**20, disk=disk or OsDisk())
    async with open_volume_blockstore(folder / "blocks.db", options=options) as store:
        yield store


async def until_moved(store: VolumeBlockstore) -> None:
    async with asyncio.timeout(60):
        while not (await store.migration.progress()).done:
            assert await given(store, BLOCKS[:5])


async def given(store: VolumeBlockstore, blocks: Sequence[Block]) -> bool:
    return await store.get_many(cids(blocks)) == list(blocks)


async def test_blocks_move_while_they_are_read_written_and_deleted(tmp_path: Path, old: bytes) -> None:
    gone, new = LARGE[::7], [Block.of(_CHANCE.randbytes(50 * KIB)) for _ in range(20)]
    left = [block for block in BLOCKS if block not in gone]
    async with opened(tmp_path, old) as store:
        assert await given(store, BLOCKS)
        await store.put_many(new)
        await store.delete_many(cids(gone))
        await until_moved(store)
        assert await given(store, [*left, *new])
        assert await store.missing(cids(gone)) == cids(gone)
        moved = (await store.migration.progress()).moved
        usage = await store.usage()
        assert usage.bytes == sum(len(block.data) for block in [*left, *new])
        assert moved >= sum(len(block.data) for block in LARGE if block not in gone)
        await gc.give_back(store)
    assert (tmp_path / "blocks.db").stat().st_size < 600 * KIB < len(old)
    async with opened(tmp_path) as store:
        assert await given(store, [*left, *new])
        assert await damaged(store) == []
        await names_swept(store, each([gc.Root(block.cid) for block in left[::2]]))
        assert await given(store, left[::2])


async def test_moving_goes_on_where_it_stopped(tmp_path: Path, old: bytes) -> None:
    belows = []
    for number in range(40):
        async with opened(tmp_path, None if number else old) as store:
            belows.append((await store.migration.progress()).below)
            if belows[-1] == 0:
                break
            async with asyncio.timeout(30):
                while (await store.migration.progress()).below == belows[-1]:
                    assert await given(store, BLOCKS[:5])
    assert belows[-1] == 0
    assert belows == sorted(belows, reverse=True)
    async with opened(tmp_path) as store:
        assert await given(store, BLOCKS)


async def test_what_was_damaged_stays_behind_and_is_missing(tmp_path: Path, old: bytes) -> None:
    bad = LARGE[3].data[-40:]
    async with opened(tmp_path, old.replace(bad, bytes([bad[0] ^ 1]) + bad[1:])) as store:
        await until_moved(store)
        found = await store.get_many(cids(BLOCKS))
        assert [block for block, one in zip(BLOCKS, found, strict=True) if one != block] == [LARGE[3]]
        await store.put_many([LARGE[3]])
        assert await given(store, BLOCKS)


async def test_a_power_failure_while_moving_loses_nothing(
    tmp_path: Path, old: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History()
    path = tmp_path / "blocks.db"
    with commits_recorded(path, history, monkeypatch):
        async with opened(tmp_path, old, RecordingDisk(history)) as store:
            await until_moved(store)
    steps = [number for number, step in enumerate(history.steps, 1) if step.kind != "sync_folder"]
    for end in steps[:: max(1, len(steps) // 40)]:
        folder = tmp_path / f"{end}"
        left_after(history.steps[:end], folder, random.Random(end), ("some", "safe", "all")[end % 3])
        async with opened(folder, None if (folder / "blocks.db").exists() else old) as store:
            assert await given(store, BLOCKS), f"after step {end} ({history.steps[end - 1].kind})"
            assert (await store.usage()).damaged == 0
