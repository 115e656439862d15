"""The tables of the pinset: documents, signed batches, and the rows every API reads.

A change of them is a step in migrations.MIGRATIONS too, for folders that there are.
"""

from __future__ import annotations

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # an acknowledged pin survives a power cut
    "PRAGMA cache_size=-16384",
    "PRAGMA busy_timeout=10000",
    "PRAGMA secure_delete=0",  # Debian's default zeroes what is deleted: twenty times as slow
)

REMEDY = "restore it from a backup, or, where the cluster has other members, remove it: they send it again"

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    number INTEGER PRIMARY KEY, snapshot BLOB NOT NULL, digest1 INTEGER NOT NULL, digest2 INTEGER NOT NULL,
    clocks BLOB);
CREATE TABLE IF NOT EXISTS updates (
    document INTEGER NOT NULL, position INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (document, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY, author TEXT NOT NULL, epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL, arrival INTEGER NOT NULL, hash BLOB, UNIQUE (author, epoch));
CREATE INDEX IF NOT EXISTS logs_by_arrival ON logs (arrival);
CREATE TABLE IF NOT EXISTS batches (
    arrival INTEGER PRIMARY KEY, log INTEGER NOT NULL, sequence INTEGER NOT NULL, envelope BLOB NOT NULL,
    UNIQUE (log, sequence));
CREATE TABLE IF NOT EXISTS pins (
    cid BLOB PRIMARY KEY, name TEXT NOT NULL, expire_at REAL, value BLOB NOT NULL,
    created REAL, everywhere INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pins_by_name ON pins (name, cid);
CREATE INDEX IF NOT EXISTS pins_by_expiry ON pins (expire_at) WHERE expire_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS pins_by_created ON pins (created) WHERE created IS NOT NULL;
CREATE TABLE IF NOT EXISTS peers (id INTEGER PRIMARY KEY, peer TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS allocated (
    peer INTEGER NOT NULL, cid BLOB NOT NULL, PRIMARY KEY (peer, cid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metadata (
    key TEXT NOT NULL, value TEXT NOT NULL, cid BLOB NOT NULL, PRIMARY KEY (key, value, cid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (cid BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forks (
    author TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
    one BLOB NOT NULL, other BLOB NOT NULL, PRIMARY KEY (author, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS live_entries (
    client INTEGER PRIMARY KEY, pins INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS member_progress (peer TEXT PRIMARY KEY, arrival INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log_marks (arrival INTEGER PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tolerated (
    author TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY (author, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshot_floor (
    author TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS cluster_facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS migrations (
    version INTEGER PRIMARY KEY, place BLOB NOT NULL, done INTEGER NOT NULL);
"""
