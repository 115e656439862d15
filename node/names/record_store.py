"""IPNS records in SQLite: one row a name, the newest record that was seen, byte for byte.

Those that a member of the cluster published are kept for good; of the others, which were only seen, those
that were looked up last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.sqlite.database import SqliteDatabase, open_database
from node.names.errors import BadRecord, TooManyNames
from node.names.ipns_record import IpnsRecord, read
from node.names.name import IpnsName

MAX_SEEN = 10_000
MAX_PUBLISHED = 100_000

_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 10000")
_REMEDY = "restore it from a backup, or remove it: records of others are looked up again"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (name BLOB PRIMARY KEY, record BLOB NOT NULL, checked REAL NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_checked ON records (checked);
CREATE TABLE IF NOT EXISTS published (name BLOB PRIMARY KEY, due REAL NOT NULL, lifetime REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS published_due ON published (due);
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record, and when others were last asked for a newer one (seconds since 1970)."""

    record: IpnsRecord
    checked: float


@dataclass(frozen=True, slots=True)
class Published:
    """A record that a member published. Its key's owner renews it for `lifetime` seconds; None at others."""

    name: IpnsName
    record: IpnsRecord
    lifetime: float | None


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

    async def publish(
        self, name: IpnsName, record: IpnsRecord, now: float, due: float, lifetime: float | None = None
    ) -> IpnsRecord:
        """`put` for good. It is to be published again at `due`; a `lifetime` that is there stays over None.

        Raises TooManyNames.
        """
        return await self._database.write(_publish, name, record, now, due, lifetime)

    async def due(self, now: float, limit: int) -> list[Published]:
        """Published records to be published again at `now` or before, the longest due first."""
        return await self._database.read(_due, now, limit)

    async def postpone(self, name: IpnsName, due: float) -> None:
        """To be published again then."""
        await self._database.write(_postpone, name, due)

    async def withdraw(self, name: IpnsName) -> None:
        """It is only a record that was seen from now on."""
        await self._database.write(_withdraw, name)

    async def published(self, after: IpnsName | None, limit: int) -> list[Published]:
        """In order of the names' bytes."""
        return await self._database.read(_published, after.multihash if after else b"", limit)


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
    if here is None:
        _forget_seen(db)
    return record


def _forget_seen(db: sqlite3.Connection) -> None:
    """A client that may look names up could fill the disk otherwise."""
    (rows,) = db.execute(
        "SELECT (SELECT count(*) FROM records) - (SELECT count(*) FROM published)"
    ).fetchone()
    if rows > MAX_SEEN:
        db.execute(
            "DELETE FROM records WHERE name IN (SELECT name FROM records "
            "WHERE name NOT IN (SELECT name FROM published) ORDER BY checked LIMIT ?)",
            (rows - MAX_SEEN,),
        )


def _publish(
    db: sqlite3.Connection,
    name: IpnsName,
    record: IpnsRecord,
    now: float,
    due: float,
    lifetime: float | None,
) -> IpnsRecord:
    (rows,) = db.execute("SELECT count(*) FROM published WHERE name <> ?", (name.multihash,)).fetchone()
    if rows >= MAX_PUBLISHED:
        raise TooManyNames(f"{name} is not published: the cluster has {rows} names, and may have no more")
    kept = _put(db, name, record, now)
    if kept.raw == record.raw:
        db.execute(
            "INSERT INTO published VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET due = excluded.due, lifetime = coalesce(excluded.lifetime, lifetime)",
            (name.multihash, due, lifetime),
        )
    return kept


def _due(db: sqlite3.Connection, now: float, limit: int) -> list[Published]:
    rows = db.execute(
        "SELECT name, record, lifetime FROM published JOIN records USING (name) WHERE due <= ? "
        "ORDER BY due LIMIT ?",
        (now, limit),
    )
    return _read_all(rows.fetchall())


def _postpone(db: sqlite3.Connection, name: IpnsName, due: float) -> None:
    db.execute("UPDATE published SET due = ? WHERE name = ?", (due, name.multihash))


def _withdraw(db: sqlite3.Connection, name: IpnsName) -> None:
    db.execute("DELETE FROM published WHERE name = ?", (name.multihash,))


def _published(db: sqlite3.Connection, after: bytes, limit: int) -> list[Published]:
    rows = db.execute(
        "SELECT name, record, lifetime FROM published JOIN records USING (name) WHERE name > ? "
        "ORDER BY name LIMIT ?",
        (after, limit),
    )
    return _read_all(rows.fetchall())


def _read_all(rows: Sequence[tuple[bytes, bytes, float | None]]) -> list[Published]:
    found = []
    for multihash, raw, lifetime in rows:
        name = IpnsName(multihash)
        try:
            found.append(Published(name, read(name, raw), lifetime))
        except BadRecord:
            continue  # as in `_get`
    return found
