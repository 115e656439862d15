"""How many blocks a file holds, and of how many bytes: sums that each change keeps true."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from blockstore.sqlite.database import DamagedRow
from blockstore.sqlite.file_pages import PAGE_BYTES

Count = Callable[[sqlite3.Connection], tuple[int, int]]
"""Blocks and their bytes, counted one by one."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS totals(one INTEGER PRIMARY KEY CHECK (one = 1), blocks INTEGER, bytes INTEGER);
"""

# The number of bytes of a blob stands in the head of its row: `data` is not read for it. The column `size` is
# for older releases; like `only_data` it has nothing that would show damage.
SIZE = "length(b.data)"


def begin(connection: sqlite3.Connection, counted: Count, beside: int = 0) -> None:
    """Count from nothing in a file that is new, and anew where the sums cannot be right.

    `beside` are the bytes of blocks that lie outside of the file.
    """
    if not _are_possible(connection, beside):
        connection.execute("REPLACE INTO totals VALUES(1, ?, ?)", counted(connection))


def _are_possible(connection: sqlite3.Connection, beside: int) -> bool:
    row = connection.execute("SELECT blocks, bytes FROM totals").fetchone()
    if row is None or not all(isinstance(number, int) and number >= 0 for number in row):
        return False
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return bool(row[1] <= pages * PAGE_BYTES + beside and (row[0] > 0 or row[1] == 0))


def read(connection: sqlite3.Connection) -> tuple[int, int]:
    """Number of blocks and their bytes. Raises DamagedRow."""
    row = connection.execute("SELECT blocks, bytes FROM totals").fetchone()
    if row is None or not all(isinstance(number, int) for number in row):
        raise DamagedRow("the sums of its blocks are gone")
    return max(0, row[0]), max(0, row[1])


def add(connection: sqlite3.Connection, blocks: int, size: int) -> None:
    """So many more, or less."""
    connection.execute("UPDATE totals SET blocks = blocks + ?, bytes = bytes + ?", (blocks, size))
