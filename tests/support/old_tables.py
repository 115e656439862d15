"""Folders as the previous release left them: its tables, written by its statements (0.1, commit 8faf9a7)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from cluster.common.pin_codec import decode_pin
from cluster.pin import EVERYWHERE

SCHEMA_1 = """
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
CREATE TABLE IF NOT EXISTS removed (cid BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cluster_facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""

_SAME = {
    "documents": "number, snapshot, digest1, digest2",
    "updates": "document, position, data",
    "logs": "id, author, epoch, sequence, arrival",
    "batches": "arrival, log, sequence, envelope",
    "removed": "cid",
    "cluster_facts": "key, value",
}

_SCRIPTS = (  # of member records and attempts, which are as they were
    "SELECT name, sql FROM new.sqlite_master WHERE type = ? AND sql IS NOT NULL"
    " AND tbl_name IN ('member_records', 'used_invites', 'attempts')"
)


def make_old(path: Path) -> None:
    """What a node of this release wrote there is as if the previous one had written it."""
    new = path.rename(path.with_suffix(".new"))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(SCHEMA_1)
        db.execute("ATTACH ? AS new", (str(new),))
        db.execute("BEGIN")
        for table, columns in _SAME.items():
            db.execute(f"INSERT INTO {table} SELECT {columns} FROM new.{table}")
        for cid, value in db.execute("SELECT cid, value FROM new.pins").fetchall():
            write_old_pin(db, cid, value)
        for name, script in db.execute(_SCRIPTS, ("table",)).fetchall():
            db.execute(script)
            db.execute(f"INSERT INTO {name} SELECT * FROM new.{name}")
        for _, script in db.execute(_SCRIPTS, ("index",)).fetchall():
            db.execute(script)
        db.execute("COMMIT")
        db.execute("DETACH new")
    new.unlink()


def write_old_pin(db: sqlite3.Connection, cid: bytes, value: bytes) -> None:
    pin = decode_pin(value)
    everywhere = pin.options.replication_max == EVERYWHERE
    holders = ("*",) if everywhere else pin.allocations
    db.execute("INSERT INTO pins VALUES (?, ?, ?, ?)", (cid, pin.options.name, pin.options.expire_at, value))
    db.executemany("INSERT OR IGNORE INTO holders VALUES (?, ?)", [(peer, cid) for peer in holders])
    db.executemany(
        "INSERT INTO metadata VALUES (?, ?, ?)", [(*item, cid) for item in pin.options.metadata.items()]
    )
