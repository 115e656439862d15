"""The log as it is cut, in SQL: its size, what members have of it, how old it is, and a step of cutting.

What is cut is always a prefix of the arrival order, which is causal: nothing that is left lacks what it
builds on here. Where a log begins follows from the batches that are left, so cutting is a DELETE alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.tables.store import SqlDatabase

STEP_BYTES = 4 * 1024 * 1024
STEP_BATCHES = 512
"""One step of cutting at most, so that writes wait for it some milliseconds."""

_TOLD = "json_each(?1) AS told JOIN logs ON author = told.value->>0 AND epoch = told.value->>1"
_NEXT = "(SELECT arrival FROM batches WHERE log = logs.id AND sequence > {} ORDER BY sequence LIMIT 1)"
_MISSING = (
    f"SELECT {_NEXT.format('told.value->>2')} AS first FROM {_TOLD} UNION ALL"
    f" SELECT {_NEXT.format('0')} FROM logs WHERE id NOT IN (SELECT logs.id FROM {_TOLD})"
)
_REACHED = f"SELECT coalesce(max(arrival), 0), (SELECT min(first) FROM ({_MISSING})) FROM logs"

_MARKS = 256  # within the time that the log is kept: so exact is a batch's age


@dataclass(frozen=True, slots=True)
class LogSize:
    """`batches` and their `bytes`."""

    batches: int
    bytes: int

    def __add__(self, other: LogSize) -> LogSize:
        return LogSize(self.batches + other.batches, self.bytes + other.bytes)

    def __sub__(self, other: LogSize) -> LogSize:
        return LogSize(self.batches - other.batches, self.bytes - other.bytes)


NOTHING = LogSize(0, 0)


class LogStore:
    """Typed operations over the pinset's database: each is one trip to it. Arrivals count from 1."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    async def last_arrival(self) -> int:
        """Of the newest batch that ever came, cut or not; 0 before the first."""
        return await self._database.read(_last_arrival)

    async def size(self, after: int, until: int) -> LogSize:
        """Of the batches behind the one arrival, up to the other."""
        return await self._database.read(_size, after, until)

    async def reached(self, heads: Mapping[AuthorLog, int]) -> int:
        """The arrival up to which a member with these heads has all that is here."""
        return await self._database.read(_reached, heads)

    async def progress(self) -> Mapping[str, int]:
        """By member: the arrival up to which it was known to have all that is here."""
        return await self._database.read(_progress)

    async def keep_progress(self, progress: Mapping[str, int]) -> None:
        """In place of what was kept before."""
        await self._database.write(_keep_progress, progress)

    async def mark(self, now: float, keep: float) -> int:
        """Note what is here at `now`; the arrival of what has been here for `keep` seconds."""
        return await self._database.write(_mark, now, keep)

    async def cut(self, until: int, most: int) -> LogSize:
        """One step: the oldest batches go, until it is `most` bytes, and none behind the arrival `until`.

        What went; NOTHING at the end.
        """
        return await self._database.free(_cut, until, min(most, STEP_BYTES))


def _last_arrival(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(arrival), 0) FROM logs").fetchone()[0])


def _size(db: sqlite3.Connection, after: int, until: int) -> LogSize:
    counted = "SELECT count(*), coalesce(sum(length(envelope)), 0) FROM batches"
    return LogSize(*db.execute(f"{counted} WHERE arrival > ? AND arrival <= ?", (after, until)).fetchone())


def _reached(db: sqlite3.Connection, heads: Mapping[AuthorLog, int]) -> int:
    # In one statement, so that no batch comes between two: it would count as one that the member has.
    told = json.dumps([[log.author, log.epoch, sequence] for log, sequence in heads.items()])
    last, first_missing = db.execute(_REACHED, (told,)).fetchone()
    return int(last) if first_missing is None else int(first_missing) - 1


def _progress(db: sqlite3.Connection) -> Mapping[str, int]:
    return {str(peer): int(arrival) for peer, arrival in db.execute("SELECT * FROM member_progress")}


def _keep_progress(db: sqlite3.Connection, progress: Mapping[str, int]) -> None:
    db.execute("DELETE FROM member_progress")
    db.execute("INSERT INTO member_progress SELECT key, value FROM json_each(?)", (json.dumps({**progress}),))


def _mark(db: sqlite3.Connection, now: float, keep: float) -> int:
    last = _last_arrival(db)
    db.execute("UPDATE log_marks SET at = ?1 WHERE at > ?1", (now,))  # of a clock that was set back since
    arrival, at = db.execute("SELECT coalesce(max(arrival), 0), max(at) FROM log_marks").fetchone()
    if last > arrival and (at is None or now - at >= keep / _MARKS):
        db.execute("INSERT INTO log_marks VALUES (?, ?)", (last, now))
    (aged,) = db.execute("SELECT max(arrival) FROM log_marks WHERE at <= ?", (now - keep,)).fetchone()
    db.execute("DELETE FROM log_marks WHERE arrival < ?", (aged or 0,))
    return int(aged or 0)


def _cut(db: sqlite3.Connection, until: int, most: int) -> LogSize:
    batches, size, last = db.execute(
        "SELECT count(*), coalesce(sum(size), 0), max(arrival) FROM ("
        " SELECT arrival, size, sum(size) OVER (ORDER BY arrival) - size AS before FROM ("
        "  SELECT arrival, length(envelope) AS size FROM batches"
        "  WHERE arrival <= ? ORDER BY arrival LIMIT ?))"
        " WHERE before < ?",
        (until, STEP_BATCHES, most),
    ).fetchone()
    if batches:
        db.execute("DELETE FROM batches WHERE arrival <= ?", (last,))
    return LogSize(batches, size)
