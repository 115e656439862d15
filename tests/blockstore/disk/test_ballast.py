"""Ballast on a disk that somebody else fills."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dags import cids, leaves
from support.disk import fill, free, small_disk

from blockstore.blocks import Blocks, OfflineExchange
from blockstore.disk.ballast import BallastFile, open_ballast
from blockstore.errors import StorageFull
from blockstore.pinning.local_pinner import open_local_pins
from blockstore.sqlite.open_store import open_sqlite_blockstore

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 32) as mounted:
        yield mounted


def test_it_takes_a_share_of_the_disk_and_gives_it_up_in_steps(disk: Path) -> None:
    ballast = BallastFile(disk / "ballast")
    ballast.make()
    assert 30 * MIB - free(disk) in range(-MIB, MIB)
    steps = 0
    while ballast.give_up():
        steps += 1
    assert steps > 1
    assert free(disk) > 31 * MIB


def test_it_is_not_made_where_it_would_take_the_last_room(disk: Path) -> None:
    (disk / "other").write_bytes(bytes(29 * MIB))
    ballast = BallastFile(disk / "ballast")
    ballast.make()
    assert not ballast.give_up()


async def test_a_full_disk_takes_no_block_and_lets_go_of_pins_and_blocks(disk: Path) -> None:
    ballast = BallastFile(disk / "ballast")
    ballast.make()
    blocks = leaves(8, size=MIB)
    async with open_sqlite_blockstore(disk / "blocks.db", ballast=ballast) as store:
        await store.put_many(blocks)
        async with open_local_pins(
            disk / "pins.db", Blocks(store, OfflineExchange()), ballast=ballast
        ) as pins:
            for block in blocks:
                await pins.pin(block.cid, recursive=True, hints=(), progress=lambda *_: None)
            fill(disk)
            with pytest.raises(StorageFull):
                await store.put_many(leaves(4, start=100, size=MIB))
            for block in blocks:
                await pins.unpin(block.cid)
        assert await store.get_many(cids(blocks)) == blocks
        await store.delete_many(cids(blocks))
        while await store.reclaim():
            pass
    assert free(disk) > 4 * MIB


async def test_it_is_given_up_at_the_start_of_a_full_disk(disk: Path) -> None:
    BallastFile(disk / "ballast").make()
    fill(disk)
    async with open_ballast(disk / "ballast"), open_sqlite_blockstore(disk / "blocks.db") as store:
        assert (await store.usage()).blocks == 0


async def test_a_folder_that_is_moved_away_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").mkdir()
    async with asyncio.timeout(30), open_ballast(tmp_path / "data" / "ballast"):
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        while "no ballast can be kept" not in caplog.text:  # noqa: ASYNC110 - the line is all there is to see
            await asyncio.sleep(0.01)
