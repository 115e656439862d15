"""How tables of an earlier release become those of this one: their form at once, their rows page by page.

The version of the tables is SQLite's user_version. When a folder is opened, each migration above it runs its
statements, which are quick whatever the folder holds, in one transaction; what they leave to do a row at a
time is done by the Migrator while the node runs. An earlier release that opens the folder again fails at its
first write, and loses nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from cluster.errors import LaterRelease
from cluster.pinset.tables import document_clocks, interned_peers

PAGE = 250
"""Rows that one transaction brings forward as a rule, which holds the writer some 10 ms."""

PageWork = Callable[[sqlite3.Connection, bytes, int], bytes | None]
"""(database, place, most rows) -> the place behind the rows that it brought forward; None behind the last."""


@dataclass(frozen=True, slots=True)
class Migration:
    """From the version before to `version`. `statements` are additive; `page`, where there is one, goes on
    from the place where the last one stopped, and may meet rows that are as they should be already."""

    version: int
    statements: tuple[str, ...] = ()
    page: PageWork | None = None


MIGRATIONS = (
    Migration(interned_peers.VERSION, interned_peers.STATEMENTS, interned_peers.bring_forward),
    Migration(3, page=interned_peers.let_go_of_holders),
    Migration(document_clocks.VERSION, document_clocks.STATEMENTS, document_clocks.bring_forward),
)
"""In order; the last one's version is that of schema.SCHEMA. Append; one that was released never changes."""

VERSION = MIGRATIONS[-1].version

_UNFINISHED = (
    "CREATE TABLE IF NOT EXISTS migrations"
    " (version INTEGER PRIMARY KEY, place BLOB NOT NULL, done INTEGER NOT NULL)"
)


def prepare(db: sqlite3.Connection) -> None:
    """Give the tables the form of this release, before schema.SCHEMA makes those that are missing.

    Raises LaterRelease for tables of a later release.
    """
    version = _version(db)
    if version > VERSION:
        raise LaterRelease(
            f"{_file(db)} was written by a later release of Pinfold (its tables have version {version}, this"
            f" release knows up to {VERSION}): start that release, or restore the folder from a backup"
        )
    if version < VERSION:
        _bring_forward(db, version)


@dataclass(frozen=True, slots=True)
class MigrationPlace:
    """Versions whose rows are not all brought forward, in order; and how many rows of the first are."""

    unfinished: tuple[int, ...]
    done: int


def read_place(db: sqlite3.Connection) -> MigrationPlace:
    rows = db.execute("SELECT version, done FROM migrations ORDER BY version").fetchall()
    return MigrationPlace(tuple(version for version, _ in rows), rows[0][1] if rows else 0)


def count_rows(db: sqlite3.Connection) -> int:
    """How many there are about: one pass over the smallest index."""
    return int(db.execute("SELECT count(*) FROM pins").fetchone()[0])


def next_page(db: sqlite3.Connection, rows: int) -> MigrationPlace:
    """Bring the next rows forward, in a transaction of the caller's; where that leads."""
    for version, place in db.execute(
        "SELECT version, place FROM migrations ORDER BY version LIMIT 1"
    ).fetchall():
        work = next(migration.page for migration in MIGRATIONS if migration.version == version)
        after = work(db, bytes(place), rows) if work else None
        if after is None:
            db.execute("DELETE FROM migrations WHERE version = ?", (version,))
        else:
            db.execute(
                "UPDATE migrations SET place = ?, done = done + ? WHERE version = ?", (after, rows, version)
            )
    return read_place(db)


def _version(db: sqlite3.Connection) -> int:
    """0: there are no tables yet; 1: those of 0.1, which had no version."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    columns = {row[1] for row in db.execute("PRAGMA table_info(pins)")}
    if version or not columns:
        return version
    return VERSION if interned_peers.COLUMN in columns else 1


def _bring_forward(db: sqlite3.Connection, version: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute(_UNFINISHED)
    for migration in MIGRATIONS if version else ():
        if migration.version > version:
            for statement in migration.statements:
                db.execute(statement)
            if migration.page is not None:
                db.execute("INSERT INTO migrations VALUES (?, x'', 0)", (migration.version,))
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _file(db: sqlite3.Connection) -> str:
    return str(db.execute("PRAGMA database_list").fetchone()[2])
