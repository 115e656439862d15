"""The statements behind cached blocks: rows that came only because somebody read them. The cache is an LRU.

A cached block is a block like any other with an entry in the table `cached`. Whoever needs it for more than
a read claims it, which removes the entry; triggers keep the sum of bytes, and forget the entry of a block
that is deleted, whoever deletes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from blockstore import sqlite_rows

SCHEMA = """
CREATE TABLE IF NOT EXISTS cached(id INTEGER PRIMARY KEY, size INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS cached_by_use ON cached(used);
CREATE TABLE IF NOT EXISTS cached_total(one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS cached_came AFTER INSERT ON cached BEGIN
    UPDATE cached_total SET bytes = bytes + new.size;
END;
CREATE TRIGGER IF NOT EXISTS cached_went AFTER DELETE ON cached BEGIN
    UPDATE cached_total SET bytes = bytes - old.size;
END;
CREATE TRIGGER IF NOT EXISTS cached_block_went AFTER DELETE ON blocks BEGIN
    DELETE FROM cached WHERE id = old.id;
END;
"""

_ROWS_A_STEP = 64


def begin(connection: sqlite3.Connection) -> None:
    """The sum of a new file."""
    connection.execute("INSERT OR IGNORE INTO cached_total VALUES(1, 0)")


def total(connection: sqlite3.Connection) -> int:
    """Bytes of all cached blocks."""
    size: int = connection.execute("SELECT bytes FROM cached_total").fetchone()[0]
    return size


def latest_use(connection: sqlite3.Connection) -> int:
    """The largest `used` so far; 0 where nothing is cached."""
    row: int = connection.execute("SELECT coalesce(max(used), 0) FROM cached").fetchone()[0]
    return row


def add(connection: sqlite3.Connection, rows: Iterable[tuple[int, int]], used: int) -> None:
    """These (row of `blocks`, bytes) are cached from now on."""
    entries = [(row, size, used) for row, size in rows]
    connection.executemany("INSERT INTO cached VALUES(?, ?, ?)", entries)


def claim(connection: sqlite3.Connection, rows: Iterable[int]) -> None:
    """These rows are cached no more; others are passed over."""
    connection.executemany("DELETE FROM cached WHERE id = ?", [(row,) for row in rows])


def claim_names(connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> None:
    """The same, by the names of the blocks."""
    query = "DELETE FROM cached WHERE id = (SELECT id FROM blocks WHERE mh = ?)"
    connection.executemany(query, [(name,) for name in multihashes])


def use(connection: sqlite3.Connection, multihashes: Iterable[bytes], first: int) -> None:
    """These blocks were read in that order, numbered upwards from `first`; others than cached ones pass."""
    connection.executemany(
        "UPDATE cached SET used = ? WHERE id = (SELECT id FROM blocks WHERE mh = ?)",
        list(enumerate(multihashes, first)),
    )


def evict(connection: sqlite3.Connection, need: int) -> int:
    """Delete cached blocks, least recently used first, until `need` bytes are gone or none is left."""
    gone = 0
    while gone < need and (rows := _oldest(connection, need - gone)):
        gone += sqlite_rows.delete_rows(connection, rows)[1]
    return gone


def _oldest(connection: sqlite3.Connection, need: int) -> Sequence[int]:
    """As few of the oldest as are worth that many bytes."""
    rows: list[int] = []
    query = "SELECT id, size FROM cached ORDER BY used, id LIMIT ?"
    for row, size in connection.execute(query, (_ROWS_A_STEP,)).fetchall():
        if need <= 0:
            break
        rows.append(row)
        need -= size
    return rows
