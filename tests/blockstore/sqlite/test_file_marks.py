"""Roots and blocks are two files: they notice when one of them was lost, exchanged, or is an older copy."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from support.collecting import swept
from support.dags import leaf, tree
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.pinning import gc
from blockstore.pinning.local_pinner import LocalPinner, open_local_pins
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore

FIRST, SECOND = tree(3, 2), tree(3, 2, start=700)
ALL = [*FIRST, *SECOND]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[SqliteBlockstore, LocalPinner]]:
    async with open_sqlite_blockstore(folder / "blocks.db") as store:
        blocks = Blocks(store, RemoteBlocks(ALL))
        async with open_local_pins(folder / "pins.db", blocks, store.marks) as pinner:
            yield store, pinner


async def pin(pinner: LocalPinner, block: Block) -> None:
    await pinner.pin(block.cid, recursive=True, hints=(), progress=lambda *_: None)


async def pinned(folder: Path, *roots: Block) -> None:
    """Open the folder and pin these."""
    async with opened(folder) as (_, pinner):
        for root in roots:
            await pin(pinner, root)


async def complete(folder: Path) -> list[bool]:
    async with opened(folder) as (_, pinner):
        return [root.complete async for root in pinner.pinned()]


def copied(folder: Path, name: str) -> Path:
    """A copy of all files of that folder beside it."""
    return Path(shutil.copytree(folder, folder.parent / name))


def lose(file: str, folder: Path) -> None:
    for lost in folder.glob(f"{file}*"):
        lost.unlink()


def take(file: str, source: Path, target: Path) -> None:
    """Put the file in place of another, without its log."""
    lose(file, target)
    for new in source.glob(f"{file}*"):
        shutil.copy(new, target / new.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "node").mkdir()
    return tmp_path / "node"


async def test_files_that_belong_together_are_believed(folder: Path) -> None:
    await pinned(folder, FIRST[0])
    before = copied(folder, "backup")
    assert await complete(folder) == [True]
    await pinned(folder, SECOND[0])
    assert await complete(folder) == [True, True]
    for file in ("blocks.db", "pins.db"):
        take(file, before, folder)
    assert await complete(folder) == [True]


async def test_lost_blocks_leave_no_root_complete_until_it_was_walked_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await pinned(folder, FIRST[0], SECOND[0])
    lose("blocks.db", folder)
    assert await complete(folder) == [False, False]
    assert "2 pins are looked through again" in caplog.text
    await pinned(folder, FIRST[0])
    async with opened(folder) as (store, pinner):
        assert await store.missing([block.cid for block in FIRST]) == []
        assert {root.cid: root.complete async for root in pinner.pinned()} == {
            FIRST[0].cid: True,
            SECOND[0].cid: False,
        }


async def test_blocks_of_another_node_are_noticed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    await pinned(folder, FIRST[0])
    await pinned(tmp_path / "other", FIRST[0])
    take("blocks.db", tmp_path / "other", folder)
    assert await complete(folder) == [False]


async def test_older_blocks_beside_newer_roots_are_noticed(folder: Path) -> None:
    await pinned(folder, FIRST[0])
    before = copied(folder, "backup")
    await pinned(folder, SECOND[0])
    take("blocks.db", before, folder)
    assert await complete(folder) == [False, False]


async def test_a_copy_made_while_the_node_ran_is_noticed_in_the_same_run(folder: Path) -> None:
    async with opened(folder) as (_, pinner):
        await pin(pinner, FIRST[0])
        with backed_up(folder / "blocks.db", folder.parent / "blocks.db"):
            await pin(pinner, SECOND[0])
    take("blocks.db", folder.parent, folder)
    assert await complete(folder) == [False, False]


@contextmanager
def backed_up(source: Path, target: Path) -> Iterator[None]:
    with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
        one.backup(other)
    one.close()
    other.close()
    yield


async def test_older_roots_beside_newer_blocks_are_fine_until_garbage_was_collected(folder: Path) -> None:
    await pinned(folder, FIRST[0])
    before = copied(folder, "backup")
    await pinned(folder, SECOND[0])
    take("pins.db", before, folder)
    assert await complete(folder) == [True]
    async with opened(folder) as (store, pinner):
        await pinner.unpin(FIRST[0].cid)
        await pinner.renew()
        went = [one async for one in swept(store, nothing())]
        assert sum(len(one.cids) for one in went) > 0
    take("pins.db", before, folder)
    assert await complete(folder) == [False]


async def nothing() -> AsyncIterator[gc.Root]:
    for root in list[gc.Root]():
        yield root


async def test_lost_roots_are_made_anew(folder: Path) -> None:
    await pinned(folder, FIRST[0])
    lose("pins.db", folder)
    assert await complete(folder) == []
    await pinned(folder, FIRST[0])
    assert await complete(folder) == [True]


async def test_a_lost_write_ahead_log_is_noticed(folder: Path) -> None:
    """As after a crash: the log holds what is not in the file yet."""
    async with opened(folder) as (_, pinner):
        await pin(pinner, FIRST[0])
        crashed = copied(folder, "crashed")
    assert await complete(copied(crashed, "whole")) == [True]
    (crashed / "blocks.db-wal").unlink()
    assert await complete(crashed) == [False]


def without_marks(file: Path, table: str) -> None:
    """As a release before marks left it."""
    with sqlite3.connect(file) as connection:
        connection.execute(f"DROP TABLE {table}")
    connection.close()


@pytest.mark.parametrize(
    ("change", "believed"),
    [
        (lambda folder: None, True),
        (lambda folder: (folder / "blocks.db").unlink(), False),
    ],
    ids=["as it was", "without its blocks"],
)
async def test_a_folder_of_the_release_before_opens(
    folder: Path, change: Callable[[Path], None], believed: bool
) -> None:
    await pinned(folder, FIRST[0])
    without_marks(folder / "blocks.db", "marks")
    without_marks(folder / "pins.db", "beside")
    change(folder)
    assert await complete(folder) == [believed]


async def test_a_lost_spare_file_is_noticed(folder: Path) -> None:
    await pinned(folder, FIRST[0])
    bad = FIRST[-1]
    data = (folder / "blocks.db").read_bytes()
    assert bad.data in data
    (folder / "blocks.db").write_bytes(data.replace(bad.data, bad.data[:-1] + b"!"))
    async with opened(folder) as (store, pinner):
        await store.put_many([bad])
        await pin(pinner, leaf(700))
    assert await complete(folder) == [True, True]
    (folder / "blocks.spare.db").unlink()
    assert await complete(folder) == [False, False]
