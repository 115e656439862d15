"""Where rows lie in a file: the pages that are named hold their bytes, whatever their size and number."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from blockstore.sqlite.row_pages import RowPages

PAGE = 16384


@pytest.mark.parametrize("largest", [200, 3000, 40_000, 400_000])
def test_the_pages_of_a_row_hold_its_bytes(tmp_path: Path, largest: int) -> None:
    chance = random.Random(largest)
    bodies = [chance.randbytes(chance.randrange(largest // 2, largest)) for _ in range(20_000_000 // largest)]
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE}")
        connection.execute("PRAGMA auto_vacuum=2")
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, data BLOB)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES(?, ?)", [(7 * n, body) for n, body in enumerate(bodies)])
        connection.execute("COMMIT")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema").fetchone()
    data = (tmp_path / "x.db").read_bytes()
    file = os.open(tmp_path / "x.db", os.O_RDONLY)
    pages = RowPages(file, PAGE, root)
    for number in chance.sample(range(len(bodies)), 40):
        ranges = list(pages.ranges([7 * number]))
        held = b"".join(data[start : start + size] for start, size in ranges)
        assert bodies[number][:16] in held
        assert bodies[number][-16:] in held
        assert len(held) < len(bodies[number]) + 5 * PAGE
    assert list(pages.ranges([3, 10**9])) == []
    os.close(file)


def test_a_file_that_is_something_else_leads_nowhere(tmp_path: Path) -> None:
    for seed in range(50):
        chance = random.Random(seed)
        (tmp_path / "x").write_bytes(bytes([chance.choice((5, 13))]) + chance.randbytes(5 * PAGE))
        file = os.open(tmp_path / "x", os.O_RDONLY)
        list(RowPages(file, PAGE, 1).ranges(range(20)))
        os.close(file)
