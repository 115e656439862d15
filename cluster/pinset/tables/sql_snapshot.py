"""Documents for another member, and those taken from one, as SQL: a page is one step of one statement.

Python's sqlite3 gives up the interpreter at every step; beside a busy event loop each costs milliseconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from blockstore.common.packed_rows import RowLayout, one_row
from cluster.pinset.documents.foreign_document import DocumentParts
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.log.snapshot_place import NEXT_FACT, LogEnd, SnapshotPlace
from cluster.pinset.tables.live_entries import LiveEntries
from cluster.pinset.tables.rows import Commit
from cluster.pinset.tables.sql_writes import write_commit

MAX_PAGE_DOCUMENTS = 4096

_SIZES = (
    "SELECT number, snapshot, length(snapshot) + coalesce("
    "(SELECT sum(length(data)) FROM updates WHERE document = number), 0) AS size"
    " FROM documents WHERE number >= ?1 AND number < ?2 ORDER BY number LIMIT ?3"
)
_FITTING = f"SELECT number, snapshot, sum(size) OVER (ORDER BY number) - size AS before FROM ({_SIZES})"
_UPDATES = (
    "(SELECT json_group_array(hex(data)) FROM"
    " (SELECT data FROM updates WHERE document = number ORDER BY position))"
)
_PAGE = f"SELECT {one_row('number', 'hex(snapshot)', _UPDATES)} FROM ({_FITTING}) WHERE before < ?4"

_DIGESTS = (
    f"SELECT {one_row('number', 'digest1', 'digest2')}"
    " FROM documents WHERE number IN (SELECT value FROM json_each(?)) AND clocks IS NOT NULL"
)

_TOLERATED = (
    "INSERT INTO tolerated SELECT value->>0, value->>1, value->>2 FROM json_each(?) WHERE true"
    " ON CONFLICT (author, epoch) DO UPDATE SET sequence = max(sequence, excluded.sequence)"
)

_FORGET_TOLERATED = (
    "DELETE FROM tolerated WHERE EXISTS (SELECT 1 FROM logs WHERE logs.author = tolerated.author"
    " AND logs.epoch = tolerated.epoch AND logs.sequence >= tolerated.sequence)"
)

_ENDS = RowLayout(author=str, epoch=int, sequence=int, hash=bytes)
_FLOOR = f"INSERT INTO snapshot_floor SELECT author, epoch, sequence, hash FROM {_ENDS.rows}"
_RAISED = (
    f"SELECT ends.* FROM {_ENDS.rows} AS ends LEFT JOIN logs USING (author, epoch)"
    " WHERE ends.sequence > coalesce(logs.sequence, 0)"
)
_FORGET_BATCHES = (
    "DELETE FROM batches WHERE log IN"
    f" (SELECT logs.id FROM logs JOIN ({_RAISED}) AS raised USING (author, epoch))"
)
_RAISE_HEADS = (
    "INSERT INTO logs (author, epoch, sequence, arrival, hash) SELECT author, epoch, sequence,"
    " (SELECT coalesce(max(arrival), 0) FROM logs) + row_number() OVER (ORDER BY place), hash"
    f" FROM ({_RAISED})"
    " WHERE true ON CONFLICT (author, epoch)"
    " DO UPDATE SET sequence = excluded.sequence, arrival = excluded.arrival, hash = excluded.hash"
)


def read_parts(db: sqlite3.Connection, first: int, last: int, max_bytes: int) -> list[DocumentParts]:
    """Documents [first, last) as they are stored, in order, about `max_bytes` of them.

    At least one when there is one. In one statement, so each is whole.
    """
    (text,) = db.execute(_PAGE, (first, last, MAX_PAGE_DOCUMENTS, max_bytes)).fetchone()
    return [_parts(number, snapshot, updates) for number, snapshot, updates in json.loads(text)]


def _parts(number: int, snapshot: str, updates: Sequence[str]) -> DocumentParts:
    return DocumentParts(number, tuple(bytes.fromhex(part) for part in (snapshot, *updates) if part))


def read_digests(db: sqlite3.Connection, numbers: Sequence[int]) -> Mapping[int, tuple[int, int]]:
    """What was written down of each document when it was last changed."""
    (text,) = db.execute(_DIGESTS, (json.dumps([*numbers]),)).fetchone()
    return {number: (first, second) for number, first, second in json.loads(text)}


def read_tolerated(db: sqlite3.Connection) -> Mapping[AuthorLog, int]:
    rows = db.execute("SELECT author, epoch, sequence FROM tolerated").fetchall()
    return {AuthorLog(author, epoch): sequence for author, epoch, sequence in rows}


def write_merge(
    db: sqlite3.Connection,
    commit: Commit,
    live: Mapping[int, LiveEntries],
    tolerated: Mapping[AuthorLog, int],
    following: int | None,
) -> int:
    """What joining documents comes to; `following` is the place of the snapshot that they are of.

    How many pins there are more than before.
    """
    more = write_commit(db, commit, live)
    _widen_tolerance(db, tolerated)
    if following is not None:
        _write_next(db, following)
    return more


def begin_snapshot(db: sqlite3.Connection, place: SnapshotPlace, tolerated: Mapping[AuthorLog, int]) -> None:
    """From that place, which stands in for the one before."""
    db.execute("DELETE FROM snapshot_floor")
    db.execute(_FLOOR, _packed(place.floor))
    _widen_tolerance(db, tolerated)
    _write_next(db, place.next)


def end_snapshot(db: sqlite3.Connection, floor: Sequence[LogEnd]) -> None:
    """Every log is applied up to the floor now; of those that were behind it, no batch is here any more."""
    packed = _packed(floor)
    db.execute(_FORGET_BATCHES, packed)
    db.execute(_RAISE_HEADS, packed)
    db.execute("DELETE FROM snapshot_floor")
    db.execute("DELETE FROM cluster_facts WHERE key = ?", (NEXT_FACT,))
    db.execute(_FORGET_TOLERATED)


def read_place(db: sqlite3.Connection) -> SnapshotPlace | None:
    """None when no snapshot is under way."""
    fact = db.execute("SELECT value FROM cluster_facts WHERE key = ?", (NEXT_FACT,)).fetchone()
    if fact is None:
        return None
    rows = db.execute("SELECT author, epoch, sequence, hash FROM snapshot_floor").fetchall()
    floor = (LogEnd(AuthorLog(author, epoch), sequence, bytes(end)) for author, epoch, sequence, end in rows)
    return SnapshotPlace(tuple(floor), int.from_bytes(bytes(fact[0])))


def _widen_tolerance(db: sqlite3.Connection, logs: Mapping[AuthorLog, int]) -> None:
    rows = [[log.author, log.epoch, sequence] for log, sequence in logs.items()]
    db.execute(_TOLERATED, (json.dumps(rows),))


def _write_next(db: sqlite3.Connection, number: int) -> None:
    db.execute("REPLACE INTO cluster_facts VALUES (?, ?)", (NEXT_FACT, number.to_bytes(8)))


def _packed(ends: Sequence[LogEnd]) -> tuple[bytes, str]:
    return _ENDS.pack((end.log.author, end.log.epoch, end.sequence, end.hash) for end in ends)


def read_cids(db: sqlite3.Connection, after: bytes, limit: int) -> list[bytes]:
    """Those of pins, in order of their bytes."""
    (text,) = db.execute(
        "SELECT json_group_array(hex(cid)) FROM (SELECT cid FROM pins WHERE cid > ? ORDER BY cid LIMIT ?)",
        (after, limit),
    ).fetchone()
    return [bytes.fromhex(cid) for cid in json.loads(text)]
