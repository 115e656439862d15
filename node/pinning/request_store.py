"""Requests in SQLite: one row each, by owner and time; every method is one trip to the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

from blockstore.cid import CID
from blockstore.errors import BadCid
from blockstore.sqlite.database import Ballast, DamagedRow, open_database
from cluster.ports import Database
from node.pinning.errors import TooManyOfOneCid
from node.pinning.pin_request import NameMatch, PinRequest, RequestQuery, WantedPin

_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 10000")
_REMEDY = "restore it from a backup, or remove it: the pins stay, and their owners ask for them anew"
SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, cid BLOB NOT NULL, created INTEGER NOT NULL UNIQUE,
    name TEXT NOT NULL, folded TEXT NOT NULL, origins TEXT NOT NULL, meta TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_by_owner ON requests (owner, created);
CREATE INDEX IF NOT EXISTS requests_by_cid ON requests (owner, cid);
"""
_COLUMNS = "id, owner, cid, created, name, origins, meta"
_NAMES = {
    NameMatch.EXACT: "name = ?",
    NameMatch.IEXACT: "folded = ?",
    NameMatch.PARTIAL: "instr(name, ?) > 0",
    NameMatch.IPARTIAL: "instr(folded, ?) > 0",
}
_FOLDED = (NameMatch.IEXACT, NameMatch.IPARTIAL)
_META = "EXISTS (SELECT 1 FROM json_each(meta) WHERE key = ? AND value = ?)"

_Row = tuple[str, str, bytes, int, str, str, str]


MAX_OF_A_CID = 1000
"""Requests of one owner for one CID; how many CIDs there are is bounded as pins are."""


class RequestStore:
    """The requests that this node took."""

    def __init__(self, database: Database[sqlite3.Connection]) -> None:
        self._database = database

    async def add(self, id_: str, owner: str, wanted: WantedPin, now: int) -> PinRequest:
        """Keep one, made at `now` (milliseconds since 1970) or, where there are later ones, just behind.

        Raises TooManyOfOneCid.
        """
        return await self._database.write(_add, id_, owner, wanted, now)

    async def get(self, owner: str, id_: str) -> PinRequest | None:
        return await self._database.read(_get, owner, id_)

    async def others(self, request: PinRequest) -> int:
        """How many more requests the same owner has for the same CID."""
        return await self._database.read(_others, request)

    async def remove(self, id_: str) -> None:
        await self._database.free(_remove, id_)

    async def page(self, query: RequestQuery, limit: int) -> list[PinRequest]:
        """The newest that fit; statuses are not looked at."""
        return await self._database.read(_page, query, limit)

    async def count(self, query: RequestQuery) -> int:
        """How many fit, whatever their statuses."""
        return await self._database.read(_count, query)


@asynccontextmanager
async def open_request_store(path: Path, ballast: Ballast | None = None) -> AsyncIterator[RequestStore]:
    """Raises StoreCorrupt, StoreUnavailable."""
    async with open_database(
        path, pragmas=_PRAGMAS, schema=SCHEMA, readers=1, remedy=_REMEDY, ballast=ballast
    ) as database:
        yield RequestStore(database)


def _add(db: sqlite3.Connection, id_: str, owner: str, wanted: WantedPin, now: int) -> PinRequest:
    same = "SELECT count(*) FROM requests WHERE owner = ? AND cid = ?"
    if _number(db, same, (owner, bytes(wanted.cid))) >= MAX_OF_A_CID:
        raise TooManyOfOneCid(MAX_OF_A_CID)
    (newest,) = db.execute("SELECT max(created) FROM requests").fetchone()
    created = now if newest is None else max(now, newest + 1)
    texts = (json.dumps(wanted.origins), json.dumps({**wanted.meta}))
    row = (id_, owner, bytes(wanted.cid), created, wanted.name, wanted.name.casefold(), *texts)
    db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return PinRequest(id_, owner, created, wanted)


def _get(db: sqlite3.Connection, owner: str, id_: str) -> PinRequest | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM requests WHERE id = ? AND owner = ?", (id_, owner)).fetchone()
    return _request(row) if row else None


def _others(db: sqlite3.Connection, request: PinRequest) -> int:
    return _number(
        db,
        "SELECT count(*) FROM requests WHERE owner = ? AND cid = ? AND id <> ?",
        (request.owner, bytes(request.wanted.cid), request.id),
    )


def _remove(db: sqlite3.Connection, id_: str) -> None:
    db.execute("DELETE FROM requests WHERE id = ?", (id_,))


def _page(db: sqlite3.Connection, query: RequestQuery, limit: int) -> list[PinRequest]:
    where, values = _where(query)
    statement = f"SELECT {_COLUMNS} FROM requests WHERE {where} ORDER BY created DESC LIMIT ?"
    return [_request(row) for row in db.execute(statement, (*values, limit)).fetchall()]


def _count(db: sqlite3.Connection, query: RequestQuery) -> int:
    where, values = _where(query)
    return _number(db, f"SELECT count(*) FROM requests WHERE {where}", values)


def _number(db: sqlite3.Connection, statement: str, values: Sequence[object]) -> int:
    (number,) = db.execute(statement, tuple(values)).fetchone()
    return int(number)


def _where(query: RequestQuery) -> tuple[str, list[object]]:
    parts, values = ["owner = ?"], list[object]([query.owner])
    if query.cids:
        parts.append(f"cid IN ({', '.join('?' * len(query.cids))})")
        values += map(bytes, query.cids)
    if query.name:
        parts.append(_NAMES[query.match])
        values.append(query.name.casefold() if query.match in _FOLDED else query.name)
    for condition, bound in (("created < ?", query.before), ("created > ?", query.after)):
        if bound is not None:
            parts.append(condition)
            values.append(bound)
    for pair in query.meta.items():
        parts.append(_META)
        values += pair
    return " AND ".join(parts), values


def _request(row: _Row) -> PinRequest:
    id_, owner, cid, created, name, origins, meta = row
    try:
        texts = MappingProxyType(dict(json.loads(meta)))
        return PinRequest(
            id_, owner, created, WantedPin(CID.decode(cid), name, tuple(json.loads(origins)), texts)
        )
    except (BadCid, ValueError, TypeError) as error:
        raise DamagedRow(f"a request cannot be read: {error}") from None
