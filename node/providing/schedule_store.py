"""What one cycle of providing is to tell, in order of keys, and how far it is: in SQLite, kept over restarts.

Losing the file costs a cycle that begins anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.cid import CID
from blockstore.sqlite.database import SqliteDatabase, open_database
from cluster.ports import Database
from node.routing.kad.keys import kad_key

_BYTES = 32
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA busy_timeout = 10000")
_REMEDY = "remove it: what is to be provided is gathered anew"
SCHEMA = """
CREATE TABLE IF NOT EXISTS names (
    dht TEXT, key BLOB, cid BLOB NOT NULL, PRIMARY KEY (dht, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cycles (
    dht TEXT PRIMARY KEY, strategy TEXT NOT NULL, began REAL NOT NULL, hurried INTEGER NOT NULL,
    filled INTEGER NOT NULL, cursor BLOB NOT NULL
) WITHOUT ROWID;
"""


ScheduleDatabase = Database[sqlite3.Connection]
"""A file that was opened with SCHEMA."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """`began`: seconds since 1970. Names before the key `cursor` are told; None: all are.

    `filled`: whether all names were gathered.
    """

    strategy: str
    began: float
    hurried: bool
    filled: bool = False
    cursor: int | None = 0


@dataclass(frozen=True, slots=True)
class DueName:
    """One name of a cycle."""

    key: int
    cid: CID


class ScheduleStore:
    """Of one DHT. Every method is one trip to the database."""

    def __init__(self, database: ScheduleDatabase, dht: str) -> None:
        self._database = database
        self._dht = dht

    async def cycle(self) -> Cycle | None:
        return await self._database.read(_cycle, self._dht)

    async def begin(self, cycle: Cycle) -> None:
        """In place of the one before; without names."""
        await self._database.write(_begin, self._dht, cycle)

    async def add(self, cids: Sequence[CID]) -> None:
        await self._database.write(_add, self._dht, cids)

    async def filled(self) -> None:
        await self._database.write(_filled, self._dht)

    async def advance(self, cursor: int | None) -> None:
        """Names before that key are told; None: all are."""
        await self._database.write(_advance, self._dht, cursor)

    async def names(self, low: int, high: int, limit: int) -> list[DueName]:
        """The first of those from `low` to below `high`, in order of keys."""
        return await self._database.read(_names, self._dht, low, high, limit)

    async def count(self, low: int = 0) -> int:
        """Names from that key on."""
        return await self._database.read(_count, self._dht, low)


@asynccontextmanager
async def open_schedule(path: Path) -> AsyncIterator[SqliteDatabase]:
    """The file of all DHTs. Raises StoreCorrupt, StoreUnavailable."""
    async with open_database(path, pragmas=_PRAGMAS, schema=SCHEMA, readers=1, remedy=_REMEDY) as database:
        yield database


def _blob(key: int) -> bytes:
    return key.to_bytes(_BYTES + 1)  # the end of the space is a key, too


def _cycle(db: sqlite3.Connection, dht: str) -> Cycle | None:
    row = db.execute(
        "SELECT strategy, began, hurried, filled, cursor FROM cycles WHERE dht = ?", (dht,)
    ).fetchone()
    if row is None:
        return None
    strategy, began, hurried, filled, cursor = row
    return Cycle(strategy, began, bool(hurried), bool(filled), int.from_bytes(cursor) if cursor else None)


def _begin(db: sqlite3.Connection, dht: str, cycle: Cycle) -> None:
    db.execute("DELETE FROM names WHERE dht = ?", (dht,))
    db.execute(
        "REPLACE INTO cycles VALUES (?, ?, ?, ?, 0, ?)",
        (dht, cycle.strategy, cycle.began, cycle.hurried, _blob(0)),
    )


def _add(db: sqlite3.Connection, dht: str, cids: Sequence[CID]) -> None:
    rows = [(dht, _blob(kad_key(cid.multihash)), bytes(cid)) for cid in cids]
    db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", rows)


def _filled(db: sqlite3.Connection, dht: str) -> None:
    db.execute("UPDATE cycles SET filled = 1 WHERE dht = ?", (dht,))


def _advance(db: sqlite3.Connection, dht: str, cursor: int | None) -> None:
    db.execute("UPDATE cycles SET cursor = ? WHERE dht = ?", (b"" if cursor is None else _blob(cursor), dht))


def _names(db: sqlite3.Connection, dht: str, low: int, high: int, limit: int) -> list[DueName]:
    rows = db.execute(
        "SELECT key, cid FROM names WHERE dht = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
        (dht, _blob(low), _blob(high), limit),
    ).fetchall()
    return [DueName(int.from_bytes(key), CID.decode(cid)) for key, cid in rows]


def _count(db: sqlite3.Connection, dht: str, low: int) -> int:
    found: int = db.execute(
        "SELECT count(*) FROM names WHERE dht = ? AND key >= ?", (dht, _blob(low))
    ).fetchone()[0]
    return found
