"""The statements behind cached blocks: rows that came only to be read. The cache is an LRU.

A cached block is a block like any other with an entry in the table `cache`. A caller that needs it for more
than a read claims it, which removes the entry; triggers keep the sum of bytes, and forget the entry of a
block that is deleted, whatever deletes it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from blockstore.sqlite.block_rows import BlockRows

SCHEMA = """
CREATE TABLE IF NOT EXISTS cache(
    id INTEGER PRIMARY KEY, size INTEGER NOT NULL, used INTEGER NOT NULL, mh BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS cache_by_use ON cache(used);
CREATE TABLE IF NOT EXISTS cache_total(one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS cache_came AFTER INSERT ON cache BEGIN
    UPDATE cache_total SET bytes = bytes + new.size;
END;
CREATE TRIGGER IF NOT EXISTS cache_went AFTER DELETE ON cache BEGIN
    UPDATE cache_total SET bytes = bytes - old.size;
END;
CREATE TRIGGER IF NOT EXISTS cache_block_went AFTER DELETE ON blocks BEGIN
    DELETE FROM cache WHERE id = old.id;
END;
"""

_ROWS_A_STEP = 64
_ROWS_A_PAGE = 1000


class CachedRow(NamedTuple):
    """An entry whose block is what it says."""

    used: int
    row: int
    name: bytes


def begin(connection: sqlite3.Connection) -> None:
    """The sum of a new file, or of one where it is wrong."""
    (right,) = connection.execute("SELECT coalesce(sum(size), 0) FROM cache").fetchone()
    if connection.execute("SELECT bytes FROM cache_total").fetchone() != (right,):
        connection.execute("REPLACE INTO cache_total VALUES(1, ?)", (right,))


def total(connection: sqlite3.Connection) -> int:
    """Bytes of all cached blocks."""
    size: int = connection.execute("SELECT bytes FROM cache_total").fetchone()[0]
    return size


def latest_use(connection: sqlite3.Connection) -> int:
    """The largest `used` so far; 0 where nothing is cached."""
    row: int = connection.execute("SELECT coalesce(max(used), 0) FROM cache").fetchone()[0]
    return row


def add(connection: sqlite3.Connection, first: int, blocks: Sequence[tuple[bytes, bytes]], used: int) -> None:
    """These blocks, in rows from `first` on, are cached from now on."""
    entries = [(row, len(body), used, name) for row, (name, body) in enumerate(blocks, first)]
    connection.executemany("INSERT INTO cache VALUES(?, ?, ?, ?)", entries)


def claim(connection: sqlite3.Connection, rows: Iterable[int]) -> None:
    """These rows are cached no more; others are passed over."""
    connection.executemany("DELETE FROM cache WHERE id = ?", [(row,) for row in rows])


def claim_names(connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> list[bytes]:
    """The same, by the names of the blocks; those that are not here."""
    query = "SELECT id FROM blocks WHERE mh = ?"
    found = {name: connection.execute(query, (name,)).fetchone() for name in multihashes}
    claim(connection, [row[0] for row in found.values() if row])
    return [name for name, row in found.items() if row is None]


def use(connection: sqlite3.Connection, multihashes: Iterable[bytes], first: int) -> None:
    """These blocks were read in that order, numbered upwards from `first`; others than cached ones pass."""
    connection.executemany(
        "UPDATE cache SET used = ? WHERE id = (SELECT id FROM blocks WHERE mh = ?)",
        list(enumerate(multihashes, first)),
    )


def among(connection: sqlite3.Connection, rows: Sequence[int]) -> set[int]:
    """Those of the rows that are cached."""
    query = "SELECT json_group_array(id) FROM cache WHERE id IN (SELECT value FROM json_each(?))"
    return set(json.loads(connection.execute(query, (json.dumps(rows),)).fetchone()[0]))


def oldest(connection: sqlite3.Connection, behind: tuple[int, int]) -> list[CachedRow]:
    """A page of entries behind (`used`, row), least recently used first."""
    query = (
        "SELECT c.used, c.id, c.mh FROM cache AS c CROSS JOIN blocks AS b ON b.id = c.id AND b.mh = c.mh"
        " WHERE (c.used, c.id) > (?, ?) ORDER BY c.used, c.id LIMIT ?"
    )
    return list(map(CachedRow._make, connection.execute(query, (*behind, _ROWS_A_PAGE)).fetchall()))


def evict(connection: sqlite3.Connection, source: BlockRows, need: int) -> int:
    """Delete cached blocks, least recently used first, until `need` bytes are gone or none is left.

    An entry whose block has another name is damaged, and goes alone: perhaps a pin needs that block.
    """
    gone = 0
    while gone < need and (entries := _oldest(connection, need - gone)):
        claim(connection, [row for row, is_right in entries if not is_right])
        gone += source.delete(connection, [row for row, is_right in entries if is_right])[1]
    return gone


def _oldest(connection: sqlite3.Connection, need: int) -> Sequence[tuple[int, bool]]:
    """As few of the oldest as are worth that many bytes, and whether they are what their entry says."""
    found: list[tuple[int, bool]] = []
    query = (
        "SELECT c.id, c.size, b.mh IS c.mh FROM cache AS c LEFT JOIN blocks AS b ON b.id = c.id"
        " ORDER BY c.used, c.id LIMIT ?"
    )
    for row, size, is_right in connection.execute(query, (_ROWS_A_STEP,)).fetchall():
        if need <= 0:
            break
        found.append((row, bool(is_right)))
        need -= size if is_right else 0
    return found
