"""The pinset's one way of changing on disk, as SQL: everything of a Commit, inside one transaction.

One step a table, however many rows: see blockstore/common/packed_rows.py.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from blockstore.common.packed_rows import Cell, RowLayout, one_row
from cluster.common.pin_codec import decode_pin
from cluster.pinset.documents.document_digest import halves
from cluster.pinset.tables.interned_peers import allocate, deallocate
from cluster.pinset.tables.live_entries import LiveEntries
from cluster.pinset.tables.rows import BatchRow, Commit, DocumentChange, PinRow

_DOCUMENT = RowLayout(number=int, snapshot=bytes, digest1=int, digest2=int, clocks=bytes)
_NUMBER = RowLayout(number=int)
_UPDATE = RowLayout(document=int, position=int, data=bytes)
_HEAD = RowLayout(author=str, epoch=int, sequence=int, arrival=int, hash=bytes)
_BATCH = RowLayout(author=str, epoch=int, sequence=int, arrival=int, envelope=bytes)
_PIN = RowLayout(cid=bytes, name=str, expire_at=float, value=bytes, created=float, everywhere=int)
_METADATA = RowLayout(key=str, value=str, cid=bytes)
_CID = RowLayout(cid=bytes)
_LIVE = RowLayout(client=int, pins=int, bytes=int)
_FACT = RowLayout(key=str, value=bytes)


def write_commit(db: sqlite3.Connection, commit: Commit, live: Mapping[int, LiveEntries]) -> int:
    """`live`: what the clients that it changes have then. How many pins there are more than before."""
    _write_documents(db, commit.documents)
    _write_updates(db, commit.documents)
    _write_batches(db, commit.batches)
    removed = _remove_pins(db, [*(row.cid for row in commit.pins), *commit.removed])
    pins = commit.pins + commit.added
    _write_pins(db, sorted(pins, key=lambda row: row.cid))  # as the table has them: fewer pages
    _write_removed(db, commit)
    _write_facts(db, commit.facts)
    _write_live(db, live)
    return len(pins) - removed


def _for_all(
    db: sqlite3.Connection, statement: str, layout: RowLayout, rows: Iterable[Sequence[Cell]]
) -> None:
    """One step for all rows, none without any."""
    found = list(rows)
    if found:
        db.execute(statement, layout.pack(found))


def _write_documents(db: sqlite3.Connection, documents: Sequence[DocumentChange]) -> None:
    _for_all(
        db,
        "INSERT INTO documents (number, snapshot, digest1, digest2, clocks)"
        f" SELECT number, coalesce(snapshot, x''), digest1, digest2, clocks FROM {_DOCUMENT.rows}"
        " WHERE true ON CONFLICT (number) DO UPDATE"
        " SET snapshot = iif(excluded.snapshot = x'', snapshot, excluded.snapshot),"
        " digest1 = excluded.digest1, digest2 = excluded.digest2, clocks = excluded.clocks",
        _DOCUMENT,
        ((one.number, one.snapshot, *halves(one.digest), one.clocks) for one in documents),
    )


def _write_updates(db: sqlite3.Connection, documents: Sequence[DocumentChange]) -> None:
    _for_all(
        db,
        f"DELETE FROM updates WHERE document IN (SELECT number FROM {_NUMBER.rows})",
        _NUMBER,
        ((one.number,) for one in documents if one.snapshot is not None),
    )
    _for_all(
        db,
        f"INSERT INTO updates SELECT document, position, data FROM {_UPDATE.rows}",
        _UPDATE,
        (
            (one.number, one.position + index, update)
            for one in documents
            if one.snapshot is None
            for index, update in enumerate(one.updates)
        ),
    )


def _write_batches(db: sqlite3.Connection, batches: Sequence[BatchRow]) -> None:
    # By logs, not by batches: of those none may be left, and no arrival counts twice.
    (last,) = db.execute("SELECT coalesce(max(arrival), 0) FROM logs").fetchone()
    arrived = list(enumerate(batches, last + 1))
    heads = {
        one.log: (one.log.author, one.log.epoch, one.sequence, arrival, one.hash) for arrival, one in arrived
    }
    _for_all(
        db,
        "INSERT INTO logs (author, epoch, sequence, arrival, hash)"
        f" SELECT author, epoch, sequence, arrival, hash FROM {_HEAD.rows} WHERE true"
        " ON CONFLICT (author, epoch) DO UPDATE"
        " SET sequence = excluded.sequence, arrival = excluded.arrival, hash = excluded.hash",
        _HEAD,
        heads.values(),
    )
    _for_all(
        db,
        "INSERT INTO batches SELECT new.arrival, logs.id, new.sequence, new.envelope"
        f" FROM {_BATCH.rows} AS new JOIN logs USING (author, epoch)",
        _BATCH,
        ((one.log.author, one.log.epoch, one.sequence, arrival, one.envelope) for arrival, one in arrived),
    )


def _remove_pins(db: sqlite3.Connection, cids: Sequence[bytes]) -> int:
    """How many of them there were."""
    if not cids:
        return 0
    keys = _CID.pack((cid,) for cid in cids)
    select = f"SELECT {one_row('hex(cid)', 'hex(value)')} FROM {_CID.rows} JOIN pins USING (cid)"
    found = json.loads(db.execute(select, keys).fetchone()[0])
    if not found:
        return 0
    old = [_row_of(bytes.fromhex(cid), bytes.fromhex(value)) for cid, value in found]
    db.execute(f"DELETE FROM pins WHERE cid IN (SELECT cid FROM {_CID.rows})", keys)
    deallocate(db, old)
    _for_all(
        db,
        f"DELETE FROM metadata WHERE (key, value, cid) IN (SELECT key, value, cid FROM {_METADATA.rows})",
        _METADATA,
        ((*item, row.cid) for row in old for item in row.metadata.items()),
    )
    return len(old)


def _row_of(cid: bytes, value: bytes) -> PinRow:
    return PinRow(cid, value, decode_pin(value))


def _write_pins(db: sqlite3.Connection, pins: Sequence[PinRow]) -> None:
    _for_all(
        db,
        "INSERT INTO pins (cid, name, expire_at, value, created, everywhere)"
        f" SELECT cid, name, expire_at, value, created, everywhere FROM {_PIN.rows}",
        _PIN,
        (row.cells() for row in pins),
    )
    allocate(db, pins)
    _for_all(
        db,
        f"INSERT INTO metadata SELECT key, value, cid FROM {_METADATA.rows}",
        _METADATA,
        ((*item, row.cid) for row in pins for item in row.metadata.items()),
    )


def _write_removed(db: sqlite3.Connection, commit: Commit) -> None:
    _for_all(
        db,
        f"DELETE FROM removed WHERE cid IN (SELECT cid FROM {_CID.rows})",
        _CID,
        ((row.cid,) for row in commit.pins),
    )
    _for_all(
        db,
        f"INSERT OR IGNORE INTO removed SELECT cid FROM {_CID.rows}",
        _CID,
        ((cid,) for cid in commit.removed),
    )


def _write_facts(db: sqlite3.Connection, facts: Mapping[str, bytes]) -> None:
    db.execute(f"REPLACE INTO cluster_facts SELECT key, value FROM {_FACT.rows}", _FACT.pack(facts.items()))


def _write_live(db: sqlite3.Connection, live: Mapping[int, LiveEntries]) -> None:
    db.execute(
        f"REPLACE INTO live_entries SELECT client, pins, bytes FROM {_LIVE.rows}",
        _LIVE.pack((client, now.pins, now.bytes) for client, now in live.items()),
    )
