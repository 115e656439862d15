"""The pinset's one way of changing on disk, as SQL: everything of a Commit, inside one transaction."""

from __future__ import annotations

import sqlite3

from cluster.common.pin_codec import decode_pin
from cluster.pinset.rows import BatchRow, Commit, DocumentChange, PinRow, pin_row


def write_commit(db: sqlite3.Connection, commit: Commit) -> None:
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
    # By logs, not by batches: of those none may be left, and no arrival counts twice.
    (arrival,) = db.execute("SELECT coalesce(max(arrival), 0) + 1 FROM logs").fetchone()
    (log,) = db.execute(
        "INSERT INTO logs (author, epoch, sequence, arrival, hash) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (author, epoch) DO UPDATE SET sequence = ?3, arrival = ?4, hash = ?5 RETURNING id",
        (batch.log.author, batch.log.epoch, batch.sequence, arrival, batch.hash),
    ).fetchone()
    db.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (arrival, log, batch.sequence, batch.envelope))


def _write_pin(db: sqlite3.Connection, row: PinRow) -> None:
    _remove_pin(db, row.cid)
    db.execute("INSERT INTO pins VALUES (?, ?, ?, ?)", (row.cid, row.name, row.expire_at, row.value))
    db.executemany("INSERT OR IGNORE INTO holders VALUES (?, ?)", [(peer, row.cid) for peer in row.holders])
    db.executemany(
        "INSERT INTO metadata VALUES (?, ?, ?)", [(*item, row.cid) for item in row.metadata.items()]
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
