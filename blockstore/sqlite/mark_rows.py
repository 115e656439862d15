"""The statements behind marks, by which a file of roots knows the blocks it was written beside."""

from __future__ import annotations

import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS marks(number INTEGER PRIMARY KEY, mark BLOB NOT NULL);
"""

_MARKS = 10_000  # kept at most: a copy of the file of roots that is older counts as foreign


def add(connection: sqlite3.Connection, value: bytes) -> None:
    connection.execute("INSERT INTO marks(mark) VALUES(?)", (value,))
    connection.execute("DELETE FROM marks WHERE number <= (SELECT max(number) FROM marks) - ?", (_MARKS,))


def has_mark(connection: sqlite3.Connection, value: bytes) -> bool:
    return connection.execute("SELECT 1 FROM marks WHERE mark = ?", (value,)).fetchone() is not None


def is_marked(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM marks LIMIT 1").fetchone() is not None


def forget_before(connection: sqlite3.Connection, value: bytes) -> None:
    query = "DELETE FROM marks WHERE number < (SELECT max(number) FROM marks WHERE mark = ?)"
    connection.execute(query, (value,))
