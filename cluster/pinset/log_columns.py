"""Columns of the log that files of the first version lack, added when such a file is opened."""

from __future__ import annotations

import sqlite3

_ADDED = {"hash": "BLOB"}  # of the batch at the head; NULL where a version wrote it that did not keep it


def add_log_columns(db: sqlite3.Connection) -> None:
    """Takes no time, whatever the file holds (sqlite.org/lang_altertable.html)."""
    present = {row[1] for row in db.execute("PRAGMA table_info(logs)").fetchall()}
    for name, kind in _ADDED.items():
        if name not in present:
            db.execute(f"ALTER TABLE logs ADD COLUMN {name} {kind}")
