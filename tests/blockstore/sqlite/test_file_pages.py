"""How a file of blocks is tuned: what a connection keeps in memory, and how long the log gets."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from support.dags import cids, leaves

from blockstore.sqlite.file_pages import EDGE, STANDARD, FileTuning
from blockstore.sqlite.open_store import open_sqlite_blockstore

MIB = 1 << 20


@pytest.mark.parametrize(
    ("tuning", "quota", "log"),
    [
        (STANDARD, 0, 64 * MIB),
        (STANDARD, 10_000 * MIB, 64 * MIB),
        (STANDARD, 160 * MIB, 10 * MIB),
        (STANDARD, MIB, 4 * MIB),
        (EDGE, 0, 16 * MIB),
    ],
)
def test_the_log_is_a_small_part_of_the_quota(tuning: FileTuning, quota: int, log: int) -> None:
    assert tuning.within(quota).log == log


def test_every_pragma_is_one_that_sqlite_takes() -> None:
    with sqlite3.connect(":memory:") as connection:
        for pragma in EDGE.pragmas:
            connection.execute(pragma)
        assert connection.execute("PRAGMA cache_size").fetchone() == (-2048,)
        assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (512,)
    connection.close()


async def test_a_store_of_the_edge_profile_cuts_its_log(tmp_path: Path) -> None:
    path = tmp_path / "blocks.db"
    async with open_sqlite_blockstore(path, tuning=EDGE) as store:
        for start in range(0, 60, 2):
            await store.put_many(leaves(2, start=start, size=MIB))
        assert path.with_name("blocks.db-wal").stat().st_size <= 20 * MIB
        assert await store.missing(cids(leaves(60, size=MIB))) == []
