"""The pinset in SQLite: documents, signed batches, member records, and the rows every API reads.

Works on a `SqlDatabase` that node opens with SCHEMA and PRAGMAS. Every method is one trip to it;
`commit` is the only way the pinset changes on disk, one transaction for everything that belongs together.
This file is long because it is all SQL of the cluster, and only that.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.common.wire import PinValue, decode_pin
from cluster.interfaces import PinQuery
from cluster.pin import EVERYWHERE
from cluster.pinset.batch import AuthorLog
from cluster.ports import Database

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # an acknowledged pin survives a power cut
    "PRAGMA cache_size=-16384",
    "PRAGMA busy_timeout=10000",
)

REMEDY = "restore it from a backup, or, where the cluster has other members, remove it: they send it again"

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    number INTEGER PRIMARY KEY, snapshot BLOB NOT NULL, digest1 INTEGER NOT NULL, digest2 INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS updates (
    document INTEGER NOT NULL, position INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (document, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY, author TEXT NOT NULL, epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL, arrival INTEGER NOT NULL, UNIQUE (author, epoch));
CREATE INDEX IF NOT EXISTS logs_by_arrival ON logs (arrival);
CREATE TABLE IF NOT EXISTS batches (
    arrival INTEGER PRIMARY KEY, log INTEGER NOT NULL, sequence INTEGER NOT NULL, envelope BLOB NOT NULL,
    UNIQUE (log, sequence));
CREATE TABLE IF NOT EXISTS pins (
    cid BLOB PRIMARY KEY, name TEXT NOT NULL, expire_at REAL, value BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pins_by_name ON pins (name, cid);
CREATE INDEX IF NOT EXISTS pins_by_expiry ON pins (expire_at) WHERE expire_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS holders (
    peer TEXT NOT NULL, cid BLOB NOT NULL, PRIMARY KEY (peer, cid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metadata (
    key TEXT NOT NULL, value TEXT NOT NULL, cid BLOB NOT NULL, PRIMARY KEY (key, value, cid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member_records (
    kind TEXT NOT NULL, peer TEXT NOT NULL, envelope BLOB NOT NULL, PRIMARY KEY (kind, peer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (cid BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used_invites (id BLOB PRIMARY KEY, peer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cluster_facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""

EVERY_MEMBER = "*"
"""The holder of a pin that every member holds."""

DigestSum = tuple[int, int, int]
"""(documents, sum of the first digest halves, sum of the second ones), over a range of document numbers."""


SqlDatabase = Database[sqlite3.Connection]


@dataclass(frozen=True, slots=True)
class PinRow:
    """A pin as it is indexed; `value` is the whole of it (wire.decode_pin)."""

    cid: bytes
    name: str
    expire_at: float | None
    holders: tuple[str, ...]
    metadata: Mapping[str, str]
    value: bytes


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it lies on disk: a snapshot, and the updates since."""

    snapshot: bytes
    updates: tuple[bytes, ...]


NO_DOCUMENT = StoredDocument(b"", ())


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """`updates` to append from `position` on; or `snapshot`, in place of everything before."""

    number: int
    digest: tuple[int, int]
    position: int
    updates: tuple[bytes, ...]
    snapshot: bytes | None


@dataclass(frozen=True, slots=True)
class BatchRow:
    log: AuthorLog
    sequence: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything one change of the pinset puts on disk. `removed` and `pins` never share a CID."""

    documents: tuple[DocumentChange, ...] = ()
    batches: tuple[BatchRow, ...] = ()
    pins: tuple[PinRow, ...] = ()
    removed: tuple[bytes, ...] = ()
    facts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log has come here; `arrival` orders heads by when they changed in this store."""

    log: AuthorLog
    sequence: int
    arrival: int


class PinsetStore:
    """Typed operations over the database. Concurrent readers see the last commit."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    async def commit(self, commit: Commit) -> None:
        """Put it on disk, all or nothing."""
        only_removes = commit.removed and not commit.pins
        await (self._database.free if only_removes else self._database.write)(_commit, commit)

    async def facts(self) -> Mapping[str, bytes]:
        return await self._database.read(
            lambda db: {
                str(key): bytes(value) for key, value in db.execute("SELECT key, value FROM cluster_facts")
            }
        )

    async def documents(self, numbers: Sequence[int]) -> list[StoredDocument]:
        """In order of `numbers`; NO_DOCUMENT where nothing is stored."""
        return await self._database.read(_documents, numbers)

    async def heads(self, after: int, limit: int) -> list[Head]:
        """Logs whose head changed after that arrival, in order of arrival."""
        return await self._database.read(_heads, after, limit)

    async def batches(self, wants: Sequence[tuple[AuthorLog, int]], max_bytes: int) -> list[bytes]:
        """Envelopes behind the given sequence of each log, in order of arrival, about `max_bytes` in all.

        At least one when there is one. Arrival order is causal: what a batch deletes came before it.
        """
        return await self._database.read(_batches, wants, max_bytes)

    async def batches_after(self, arrival: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """(arrival, envelope) of every log, in order of arrival."""
        return await self._database.read(_batches_after, arrival, max_bytes)

    async def digest_sums(self, first: int, last: int, shift: int) -> Mapping[int, DigestSum]:
        """Sums over documents [first, last), by number >> shift; empty ranges are left out."""
        return await self._database.read(_digest_sums, first, last, shift)

    async def values(self, cids: Sequence[bytes]) -> list[bytes | None]:
        return await self._database.read(_values, cids)

    async def page(self, query: PinQuery, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(CID, value) of pins that match, in order of the CID's bytes, after that one."""
        return await self._database.read(_page, query, after, limit)

    async def count(self, query: PinQuery) -> int:
        return await self._database.read(_count, query)

    async def was_removed(self, cid: bytes) -> bool:
        """Whether a commit removed it, and none put it again since."""
        return await self._database.read(
            lambda db: db.execute("SELECT 1 FROM removed WHERE cid = ?", (cid,)).fetchone() is not None
        )

    async def member_records(self) -> list[tuple[str, str, bytes]]:
        """(kind, peer, envelope) of each."""
        return await self._database.read(
            lambda db: [
                (str(kind), str(peer), bytes(envelope))
                for kind, peer, envelope in db.execute("SELECT kind, peer, envelope FROM member_records")
            ]
        )

    async def remove_member_record(self, kind: str, peer: str) -> None:
        """A missing one is fine."""
        await self._database.write(
            lambda db: db.execute(
                "DELETE FROM member_records WHERE kind = ? AND peer = ?", (kind, peer)
            ).close()
        )

    async def put_member_records(
        self, records: Iterable[tuple[str, str, bytes]], invites: Iterable[tuple[bytes, str]] = ()
    ) -> None:
        """(kind, peer, envelope): each replaces the one of its kind and peer. `invites`: (id, user)."""

        def put(db: sqlite3.Connection) -> None:
            db.executemany("REPLACE INTO member_records VALUES (?, ?, ?)", records)
            db.executemany("INSERT OR IGNORE INTO used_invites VALUES (?, ?)", invites)

        await self._database.write(put)

    async def used_invites(self) -> dict[bytes, str]:
        """Who used which, of those that were used here."""
        return await self._database.read(
            lambda db: {
                bytes(one): str(peer) for one, peer in db.execute("SELECT id, peer FROM used_invites")
            }
        )


def _commit(db: sqlite3.Connection, commit: Commit) -> None:
    for document in commit.documents:
        _write_document(db, document)
    for batch in commit.batches:
        _write_batch(db, batch)
    for row in commit.pins:
        _write_pin(db, row)
        db.execute("DELETE FROM removed WHERE cid = ?", (row.cid,))
    for cid in commit.removed:
        _remove_pin(db, cid)
        db.execute("INSERT OR IGNORE INTO removed VALUES (?)", (cid,))
    db.executemany("REPLACE INTO cluster_facts VALUES (?, ?)", commit.facts.items())


def _write_document(db: sqlite3.Connection, document: DocumentChange) -> None:
    if document.snapshot is None:
        db.execute(
            "INSERT INTO documents VALUES (?1, x'', ?2, ?3)"
            " ON CONFLICT (number) DO UPDATE SET digest1 = ?2, digest2 = ?3",
            (document.number, *document.digest),
        )
        db.executemany(
            "INSERT INTO updates VALUES (?, ?, ?)",
            [(document.number, document.position + i, update) for i, update in enumerate(document.updates)],
        )
    else:
        db.execute(
            "REPLACE INTO documents VALUES (?, ?, ?, ?)",
            (document.number, document.snapshot, *document.digest),
        )
        db.execute("DELETE FROM updates WHERE document = ?", (document.number,))


def _write_batch(db: sqlite3.Connection, batch: BatchRow) -> None:
    (arrival,) = db.execute("SELECT coalesce(max(arrival), 0) + 1 FROM batches").fetchone()
    (log,) = db.execute(
        "INSERT INTO logs (author, epoch, sequence, arrival) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (author, epoch) DO UPDATE SET sequence = ?3, arrival = ?4 RETURNING id",
        (batch.log.author, batch.log.epoch, batch.sequence, arrival),
    ).fetchone()
    db.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (arrival, log, batch.sequence, batch.envelope))


def _write_pin(db: sqlite3.Connection, row: PinRow) -> None:
    _remove_pin(db, row.cid)
    db.execute("INSERT INTO pins VALUES (?, ?, ?, ?)", (row.cid, row.name, row.expire_at, row.value))
    db.executemany("INSERT OR IGNORE INTO holders VALUES (?, ?)", [(peer, row.cid) for peer in row.holders])
    db.executemany(
        "INSERT INTO metadata VALUES (?, ?, ?)", [(*item, row.cid) for item in row.metadata.items()]
    )


def pin_row(cid: bytes, value: bytes, pin: PinValue) -> PinRow:
    """The row of an entry's value, which says `pin`."""
    everywhere = pin.options.replication_max == EVERYWHERE
    return PinRow(
        cid=cid,
        name=pin.options.name,
        expire_at=pin.options.expire_at,
        holders=(EVERY_MEMBER,) if everywhere else pin.allocations,
        metadata=pin.options.metadata,
        value=value,
    )


def _remove_pin(db: sqlite3.Connection, cid: bytes) -> None:
    found = db.execute("DELETE FROM pins WHERE cid = ? RETURNING value", (cid,)).fetchall()
    for (value,) in found:
        old = pin_row(cid, value, decode_pin(value))
        db.executemany(
            "DELETE FROM holders WHERE peer = ? AND cid = ?", [(peer, cid) for peer in old.holders]
        )
        db.executemany(
            "DELETE FROM metadata WHERE key = ? AND value = ? AND cid = ?",
            [(*item, cid) for item in old.metadata.items()],
        )


def _documents(db: sqlite3.Connection, numbers: Sequence[int]) -> list[StoredDocument]:
    return [_document(db, number) for number in numbers]


def _document(db: sqlite3.Connection, number: int) -> StoredDocument:
    row = db.execute("SELECT snapshot FROM documents WHERE number = ?", (number,)).fetchone()
    if row is None:
        return NO_DOCUMENT
    updates = db.execute(
        "SELECT data FROM updates WHERE document = ? ORDER BY position", (number,)
    ).fetchall()
    return StoredDocument(bytes(row[0]), tuple(bytes(update) for (update,) in updates))


def _heads(db: sqlite3.Connection, after: int, limit: int) -> list[Head]:
    rows = db.execute(
        "SELECT author, epoch, sequence, arrival FROM logs WHERE arrival > ? ORDER BY arrival LIMIT ?",
        (after, limit),
    ).fetchall()
    return [Head(AuthorLog(author, epoch), sequence, arrival) for author, epoch, sequence, arrival in rows]


def _batches(db: sqlite3.Connection, wants: Sequence[tuple[AuthorLog, int]], max_bytes: int) -> list[bytes]:
    streams = [_log_arrivals(db, log, sequence, max_bytes) for log, sequence in wants]
    chosen: list[bytes] = []
    total = 0
    for arrival, size in heapq.merge(*streams):
        total += size
        if chosen and total > max_bytes:
            break
        (envelope,) = db.execute("SELECT envelope FROM batches WHERE arrival = ?", (arrival,)).fetchone()
        chosen.append(bytes(envelope))
    return chosen


def _log_arrivals(
    db: sqlite3.Connection, log: AuthorLog, after: int, max_bytes: int
) -> list[tuple[int, int]]:
    """(arrival, size) of a log's next batches, as many as could fit: a batch is never under 100 bytes."""
    return db.execute(
        "SELECT b.arrival, length(b.envelope) FROM logs l JOIN batches b ON b.log = l.id AND b.sequence > ?"
        " WHERE l.author = ? AND l.epoch = ? ORDER BY b.sequence LIMIT ?",
        (after, log.author, log.epoch, max_bytes // 100 + 1),
    ).fetchall()


def _batches_after(db: sqlite3.Connection, arrival: int, max_bytes: int) -> list[tuple[int, bytes]]:
    chosen: list[tuple[int, bytes]] = []
    total = 0
    while total < max_bytes:
        row = db.execute(
            "SELECT arrival, envelope FROM batches WHERE arrival > ? ORDER BY arrival LIMIT 1", (arrival,)
        ).fetchone()
        if row is None or row[0] <= arrival:  # the latter is damage, and would never end
            break
        arrival = row[0]
        total += len(row[1])
        chosen.append((arrival, bytes(row[1])))
    return chosen


def _digest_sums(db: sqlite3.Connection, first: int, last: int, shift: int) -> Mapping[int, DigestSum]:
    rows = db.execute(
        "SELECT number >> ?, count(*), sum(digest1), sum(digest2) FROM documents"
        " WHERE number >= ? AND number < ? GROUP BY 1",
        (shift, first, last),
    ).fetchall()
    return {number: (count, one, two) for number, count, one, two in rows}


def _values(db: sqlite3.Connection, cids: Sequence[bytes]) -> list[bytes | None]:
    rows = (db.execute("SELECT value FROM pins WHERE cid = ?", (cid,)).fetchone() for cid in cids)
    return [bytes(row[0]) if row else None for row in rows]


def _page(db: sqlite3.Connection, query: PinQuery, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
    source, arguments = _matching(query, after)
    rows = db.execute(
        f"SELECT cid, value FROM pins WHERE cid IN (SELECT cid FROM ({source} ORDER BY cid LIMIT :limit))"
        " ORDER BY cid",
        {**arguments, "limit": limit},
    ).fetchall()
    return [(bytes(cid), bytes(value)) for cid, value in rows]


def _count(db: sqlite3.Connection, query: PinQuery) -> int:
    source, arguments = _matching(query, bytes(query.after) if query.after else b"")
    return int(db.execute(f"SELECT count(*) FROM ({source})", arguments).fetchone()[0])


def _matching(query: PinQuery, after: bytes) -> tuple[str, dict[str, object]]:
    """A SELECT of the CIDs that match, driven by the index of the narrowest condition given.

    Only fixed text is put together here; every value is an argument.
    """
    arguments: dict[str, object] = {
        "after": after,
        "name": query.name,
        "peer": query.held_by,
        "everyone": EVERY_MEMBER,
        "expiry": query.expires_before,
    }
    tests = ["cid > :after"]
    if query.name is not None:
        tests.append("name = :name")
    if query.expires_before is not None:
        tests.append("expire_at < :expiry")
    for index, (key, value) in enumerate(query.metadata):
        arguments |= {f"key{index}": key, f"value{index}": value}
        tests.append(f"cid IN (SELECT cid FROM metadata WHERE key = :key{index} AND value = :value{index})")
    if query.held_by is None:
        return f"SELECT cid FROM pins WHERE {' AND '.join(tests)}", arguments
    if len(tests) > 1:
        tests.append("EXISTS (SELECT 1 FROM holders h WHERE h.cid = pins.cid AND peer IN (:peer, :everyone))")
        return f"SELECT cid FROM pins WHERE {' AND '.join(tests)}", arguments
    # Two index ranges merged in order: neither the whole pinset nor a sort for one member's page.
    one_range = "SELECT cid FROM holders WHERE peer = {} AND cid > :after"
    return f"{one_range.format(':peer')} UNION ALL {one_range.format(':everyone')}", arguments
