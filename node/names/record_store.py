"""IPNS records in SQLite: one row a name, the newest record that was seen, byte for byte."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.sqlite.database import SqliteDatabase, open_database
from node.names.errors import BadRecord
from node.names.ipns_record import IpnsRecord, read
from node.names.name import IpnsName

_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 10000")
_REMEDY = "restore it from a backup, or remove it: records of others are looked up again"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (name BLOB PRIMARY KEY, record BLOB NOT NULL, checked REAL NOT NULL)
    WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record, and when others were last asked for a newer one (seconds since 1970)."""

    record: IpnsRecord
    checked: float


class RecordStore:
    """Every method is one trip to the database."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def get(self, name: IpnsName) -> Stored | None:
        """The record of that name, expired or not; a damaged one counts as none."""
        return await self._database.read(_get, name)

    async def put(self, name: IpnsName, record: IpnsRecord, now: float) -> IpnsRecord:
        """Keep a record unless the one here is newer; the one that is kept."""
        return await self._database.write(_put, name, record, now)


@asynccontextmanager
async def open_record_store(path: Path) -> AsyncIterator[RecordStore]:
    """Raises StoreCorrupt, StoreUnavailable."""
    async with open_database(path, pragmas=_PRAGMAS, schema=_SCHEMA, readers=1, remedy=_REMEDY) as database:
        yield RecordStore(database)


def _get(db: sqlite3.Connection, name: IpnsName) -> Stored | None:
    row = db.execute("SELECT record, checked FROM records WHERE name = ?", (name.multihash,)).fetchone()
    try:
        return Stored(read(name, row[0]), row[1]) if row else None
    except BadRecord:
        return None  # it proves itself or it does not; a good one will take its place


def _put(db: sqlite3.Connection, name: IpnsName, record: IpnsRecord, now: float) -> IpnsRecord:
    here = _get(db, name)
    if here is not None:
        record = max(here.record, record, key=lambda one: one.order)
    db.execute("REPLACE INTO records VALUES (?, ?, ?)", (name.multihash, record.raw, now))
    return record
