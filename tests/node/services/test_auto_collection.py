"""Garbage collected between two watermarks, least recently used first; a limit that is kept for ever."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

import pytest
from support.collecting import each
from support.dags import cids, leaf, leaves

from blockstore.common.guard import Guard
from blockstore.pinning import gc
from blockstore.pinning.gc import Marked, Root
from blockstore.sqlite.cache_views import CachingStore
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.store import Usage
from blockstore.upkeep import Swept
from blockstore.volumes.open_store import open_volume_blockstore
from node.services.auto_collection import AutoCollection, Watermarks

MIB = 1 << 20
QUOTA = 80 * MIB
MARKS = Watermarks(0.9, 0.7)
STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[SqliteBlockstore]]] = {
    "sqlite": lambda folder: open_sqlite_blockstore(folder / "blocks.db", quota=QUOTA),
    "volumes": lambda folder: open_volume_blockstore(folder / "blocks.db", quota=QUOTA),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteBlockstore]:
    async with STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("free", "need"), [(50, 0), (11, 0), (10, 0), (9, 21), (0, 30)], ids=lambda value: str(value)
)
def test_between_the_watermarks_nothing_goes(free: int, need: int) -> None:
    assert MARKS.need(Usage(1, 100 - free, 100, free)) == pytest.approx(need, abs=1)
    assert MARKS.need(Usage(1, 100 - free, 0, free)) == pytest.approx(need, abs=1)
    assert Watermarks(1.0, 0.5).need(Usage(1, 100 - free, 100, free)) == 0


class Collections:
    """Collections of what no root leads to, and how many there were."""

    def __init__(self, store: SqliteBlockstore, *roots: Root) -> None:
        self.store = store
        self.roots = roots
        self.asked: list[int] = []

    async def run(self, need: int) -> AsyncGenerator[Marked | Swept]:
        self.asked.append(need)
        async with aclosing(gc.collect(self.store, each(self.roots), need)) as steps:
            async for step in steps:
                yield step
        await gc.give_back(self.store)


def held(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


async def test_endless_writes_stay_below_the_quota_and_keep_what_was_read_lately(
    store: SqliteBlockstore, tmp_path: Path
) -> None:
    pinned, read = leaf(1, size=4 * MIB // 2), leaf(2, size=2 * MIB)
    await store.put_many([pinned, read])
    collections = Collections(store, Root(pinned.cid))
    automatic = AutoCollection(store, collections.run, MARKS, Guard())
    for number in range(60):
        await store.put_many(leaves(4, start=100 + 4 * number, size=MIB))
        await CachingStore(store).get_many([read.cid])
        await automatic.look()
        assert held(tmp_path) <= QUOTA
    assert await store.missing(cids([pinned, read])) == []
    assert not await store.has(leaf(100, size=MIB).cid)
    assert 3 < len(collections.asked) < 30


async def test_a_store_that_is_full_of_pins_is_not_looked_through_again_and_again(
    store: SqliteBlockstore,
) -> None:
    blocks = leaves(64, size=MIB)
    for start in range(0, 64, 4):
        await store.put_many(blocks[start : start + 4])
    collections = Collections(store, *(Root(block.cid) for block in blocks))
    automatic = AutoCollection(store, collections.run, Watermarks(0.6, 0.4), Guard())
    for _ in range(3):
        await automatic.look()
    assert len(collections.asked) == 1
    await store.put_many(leaves(2, start=500, size=MIB))
    await automatic.look()
    assert len(collections.asked) == 2
    assert await store.missing(cids(blocks)) == []
