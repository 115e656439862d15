"""Failed attempts in SQLite, beside the pinset: one row a CID, indexed by the time of its next retry."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from blockstore.cid import CID
from blockstore.common.kept_count import KeptCount
from blockstore.common.packed_rows import RowLayout, one_row
from cluster.pin import KeyRange
from cluster.ports import Attempt, Database, OperationKind

SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    cid BLOB PRIMARY KEY, kind TEXT NOT NULL, count INTEGER NOT NULL, error TEXT NOT NULL,
    failed_at REAL NOT NULL, retry_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempts_by_retry ON attempts (retry_at);
"""

_CIDS = RowLayout(cid=bytes)
_COLUMNS = "cid, kind, count, error, failed_at, retry_at"
_NEVER = float(1 << 53)
"""As `retry_at` in a row: no other attempt follows. A release before these takes it for a clock set back."""

_PARTS = 1 << 52  # of a second: a float above one has no smaller ones


def _exactly(column: str) -> tuple[str, str]:
    whole = f"CAST({column} AS INTEGER)"
    return whole, f"CAST(({column} - {whole}) * {_PARTS} AS INTEGER)"


_SOUND = "typeof(count) = 'integer' AND typeof(failed_at) = 'real' AND typeof(retry_at) = 'real'"
_TEXTS = ("hex(cid)", "CAST(kind AS TEXT)", "count", "CAST(error AS TEXT)")
_CELLS = (*_TEXTS, *_exactly("failed_at"), *_exactly("retry_at"))
_Row = tuple[bytes, str, int, str, float, float]


class SqliteAttempts:
    """The AttemptStore of a node, its only writer; every method is one trip to the database at most."""

    def __init__(self, database: Database[sqlite3.Connection]) -> None:
        self._database = database
        self._counts = {kind: KeptCount(partial(database.read, _count, kind)) for kind in OperationKind}
        self._puts = 0
        self._is_empty = False  # for certain: where nothing has failed, nothing is looked for

    async def get_many(self, cids: Sequence[CID]) -> list[Attempt | None]:
        if self._is_empty:
            return [None] * len(cids)
        puts = self._puts
        found, is_empty = await self._database.read(_get_many, cids)
        self._is_empty = is_empty and puts == self._puts
        return found

    async def put(self, attempt: Attempt) -> None:
        self._puts += 1
        self._is_empty = False
        with self._changing() as change:
            change(await self._database.write(_put, attempt))

    async def remove(self, cid: CID) -> None:
        await self.remove_many([cid])

    async def remove_many(self, cids: Sequence[CID]) -> None:
        with self._changing() as change:
            change(await self._database.write(_remove_many, cids))

    async def claim(self, now: float, horizon: float, until: float, limit: int) -> list[Attempt]:
        return await self._database.write(_claim, now, horizon, until, limit)

    async def next_retry(self) -> float | None:
        return await self._database.read(_next_retry)

    async def count(self, kind: OperationKind) -> int:
        return await self._counts[kind].total()

    async def page(self, after: CID | None, limit: int) -> list[Attempt]:
        return await self._database.read(_page, after, limit)

    async def within(self, keys: KeyRange, limit: int) -> list[Attempt]:
        return await self._database.read(_within, keys, limit)

    @contextmanager
    def _changing(self) -> Iterator[Callable[[Mapping[str, int]], None]]:
        """To be called with what the change did to each kind."""
        with ExitStack() as stack:
            changes = {kind: stack.enter_context(one.changing()) for kind, one in self._counts.items()}

            def changed(by: Mapping[str, int]) -> None:
                for kind, change in changes.items():
                    change.by = by.get(kind, 0)

            yield changed


def _get_many(db: sqlite3.Connection, cids: Sequence[CID]) -> tuple[list[Attempt | None], bool]:
    """In order; and whether there are no attempts at all."""
    if db.execute("SELECT 1 FROM attempts LIMIT 1").fetchone() is None:
        return [None] * len(cids), True
    rows = _CIDS.pack([bytes(cid)] for cid in set(cids))
    read = _read(db, f"SELECT * FROM attempts WHERE cid IN (SELECT cid FROM {_CIDS.rows}) AND {_SOUND}", rows)
    found = {attempt.cid: attempt for attempt in read}
    return [found.get(cid) for cid in cids], False


def _put(db: sqlite3.Connection, attempt: Attempt) -> Mapping[str, int]:
    """By how much it changed the number of each kind, like the next."""
    before = db.execute("SELECT kind FROM attempts WHERE cid = ?", (bytes(attempt.cid),)).fetchone()
    retry_at = _NEVER if attempt.retry_at is None else attempt.retry_at
    row = (attempt.kind, attempt.count, attempt.error, attempt.failed_at, retry_at)
    db.execute("REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?)", (bytes(attempt.cid), *row))
    more = Counter({str(attempt.kind): 1})
    if before is not None:
        more[str(before[0])] -= 1
    return more


def _remove_many(db: sqlite3.Connection, cids: Sequence[CID]) -> Mapping[str, int]:
    rows = _CIDS.pack([bytes(cid)] for cid in cids)
    where = f"WHERE cid IN (SELECT cid FROM {_CIDS.rows})"
    found = db.execute(f"SELECT kind, count(*) FROM attempts {where} GROUP BY kind", rows).fetchall()
    db.execute(f"DELETE FROM attempts {where}", rows)
    return {str(kind): -count for kind, count in found}


def _count(db: sqlite3.Connection, kind: OperationKind) -> int:
    return int(db.execute("SELECT count(*) FROM attempts WHERE kind = ?", (kind,)).fetchone()[0])


def _claim(db: sqlite3.Connection, now: float, horizon: float, until: float, limit: int) -> list[Attempt]:
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM attempts WHERE retry_at <= ? OR (retry_at > ? AND retry_at <> ?)"
        " ORDER BY retry_at LIMIT ?",
        (now, horizon, _NEVER, limit),
    ).fetchall()
    db.executemany("UPDATE attempts SET retry_at = ? WHERE cid = ?", [(until, row[0]) for row in rows])
    return _readable(rows)


def _next_retry(db: sqlite3.Connection) -> float | None:
    query = "SELECT min(retry_at) FROM attempts WHERE typeof(retry_at) = 'real' AND retry_at <> ?"
    (at,) = db.execute(query, (_NEVER,)).fetchone()
    return None if at is None else float(at)


def _page(db: sqlite3.Connection, after: CID | None, limit: int) -> list[Attempt]:
    return _within(db, KeyRange(bytes(after) if after else b""), limit)


def _within(db: sqlite3.Connection, keys: KeyRange, limit: int) -> list[Attempt]:
    query = f"SELECT * FROM attempts WHERE cid > ? AND cid <= ? AND {_SOUND} ORDER BY cid LIMIT ?"
    found = _read(db, query, (keys.after, keys.until, limit))
    # Damage may have put one where it does not belong: a caller that goes on behind it would never end.
    inside = [one for one in found if keys.after < bytes(one.cid) <= keys.until]
    return sorted(inside, key=lambda one: bytes(one.cid))


def _read(db: sqlite3.Connection, query: str, parameters: tuple[object, ...]) -> list[Attempt]:
    """As one row. Times go through JSON as whole seconds and parts of one, which keeps every bit of them."""
    (text,) = db.execute(f"SELECT {one_row(*_CELLS)} FROM ({query})", parameters).fetchone()
    return _readable(
        [
            (bytes.fromhex(cid), kind, count, error, failed + part / _PARTS, retry + rest / _PARTS)
            for cid, kind, count, error, failed, part, retry, rest in json.loads(text)
        ]
    )


def _readable(rows: Sequence[_Row]) -> list[Attempt]:
    """A damaged row counts as none: the pin is tried again as if it never failed."""
    found: list[Attempt] = []
    for cid, kind, count, error, failed_at, retry_at in rows:
        with suppress(ValueError, TypeError):
            again = None if retry_at == _NEVER else float(retry_at)
            what = OperationKind(kind), int(count), str(error)
            found.append(Attempt(CID.decode(cid), *what, float(failed_at), again))
    return found
