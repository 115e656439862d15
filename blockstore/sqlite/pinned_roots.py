"""Roots in SQLite: one row a root, and the mark of the blocks that they were written beside."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from blockstore.cid import CID
from blockstore.errors import BadCid
from blockstore.sqlite.database import DamagedRow

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a root that was promised outlives a power failure
    "PRAGMA journal_size_limit=4194304",
    "PRAGMA busy_timeout=5000",
)
# A root that was complete, and of which it is not known whether it is, has its counts and `complete` 0.
SCHEMA = """
CREATE TABLE IF NOT EXISTS roots(
    cid BLOB PRIMARY KEY, recursive INTEGER NOT NULL, complete INTEGER NOT NULL, blocks INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beside(one INTEGER PRIMARY KEY CHECK (one = 1), mark BLOB, parts INTEGER);
"""
REMEDY = (
    "restore it from a backup, or remove it: the node then looks through its blocks again and fetches what "
    "its pins lack"
)
_SELECT = "SELECT cid, recursive, complete, blocks, bytes FROM roots"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class PinnedRoot:
    """A root, alone or with all below it. Blocks and bytes count once it is complete: all of it is here.

    One that has blocks and is not complete was so once: part of it was lost, or may be.
    """

    cid: CID
    complete: bool
    recursive: bool
    blocks: int
    bytes: int


def begin(connection: sqlite3.Connection, cid: CID, recursive: bool) -> PinnedRoot:
    """The root as it is from here on: a recursive one stays recursive, a direct one may become it."""
    known = find(connection, cid)
    if known is not None and (known.recursive or not recursive):
        return known
    return _put(connection, PinnedRoot(cid, False, recursive, 0, 0))


def record(connection: sqlite3.Connection, root: PinnedRoot) -> PinnedRoot:
    """Keep a finished root, unless a recursive pin has begun while a direct one ended."""
    known = find(connection, root.cid)
    if known is not None and known.recursive and not root.recursive:
        return known
    return _put(connection, root)


def _put(connection: sqlite3.Connection, root: PinnedRoot) -> PinnedRoot:
    row = (bytes(root.cid), root.recursive, root.complete, root.blocks, root.bytes)
    connection.execute("INSERT OR REPLACE INTO roots VALUES(?, ?, ?, ?, ?)", row)
    return root


def forget(connection: sqlite3.Connection, cid: CID) -> None:
    connection.execute("DELETE FROM roots WHERE cid = ?", (bytes(cid),))


def find(connection: sqlite3.Connection, cid: CID) -> PinnedRoot | None:
    row = connection.execute(f"{_SELECT} WHERE cid = ?", (bytes(cid),)).fetchone()
    return None if row is None else _root(row)


def behind(connection: sqlite3.Connection, last: bytes) -> list[PinnedRoot]:
    """In order. Raises DamagedRow where they are not: to go on behind the last would never end."""
    found: list[PinnedRoot] = []
    for row in connection.execute(f"{_SELECT} WHERE cid > ? ORDER BY cid LIMIT ?", (last, _PAGE)).fetchall():
        found.append(root := _root(row))
        if bytes(root.cid) <= last:
            raise DamagedRow(f"pin {root.cid} is not where it belongs")
        last = bytes(root.cid)
    return found


def doubt(connection: sqlite3.Connection, cid: CID) -> None:
    """It is not known to be complete any more."""
    connection.execute("UPDATE roots SET complete = 0 WHERE cid = ?", (bytes(cid),))


def doubt_all(connection: sqlite3.Connection) -> int:
    """How many were complete."""
    return connection.execute("UPDATE roots SET complete = 0 WHERE complete").rowcount


def beside(connection: sqlite3.Connection, mark: bytes, parts: int) -> None:
    """The roots are written beside blocks that have that mark, in so many files."""
    connection.execute("INSERT OR REPLACE INTO beside VALUES(1, ?, ?)", (mark, parts))


def known_beside(connection: sqlite3.Connection) -> tuple[bytes, int] | None:
    """Mark and number of files, where some were noted."""
    row: tuple[bytes, int] | None = connection.execute("SELECT mark, parts FROM beside").fetchone()
    return row


def _root(row: tuple[bytes, int, int, int, int]) -> PinnedRoot:
    """Raises DamagedRow."""
    cid, recursive, complete, blocks, size = row
    try:
        return PinnedRoot(CID.decode(cid), bool(complete), bool(recursive), int(blocks), int(size))
    except (BadCid, TypeError, ValueError) as error:
        raise DamagedRow(str(error)) from None
