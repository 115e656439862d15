"""Where walks of incomplete roots are, in the file of roots: a row a walk that lasts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from blockstore.cid import CID
from blockstore.common.packed_rows import RowLayout

SCHEMA = """
CREATE TABLE IF NOT EXISTS walks(cid BLOB PRIMARY KEY, mark BLOB NOT NULL, state BLOB NOT NULL);
"""
_CIDS = RowLayout(cid=bytes)


def keep(connection: sqlite3.Connection, cid: CID, mark: bytes, state: bytes) -> None:
    """Beside blocks that have that mark; unless its root was forgotten meanwhile."""
    connection.execute(
        "INSERT OR REPLACE INTO walks SELECT cid, ?, ? FROM roots WHERE cid = ?", (mark, state, bytes(cid))
    )


def find(connection: sqlite3.Connection, cid: CID) -> tuple[bytes, bytes] | None:
    """Mark and state."""
    query = "SELECT mark, state FROM walks WHERE cid = ?"
    row: tuple[bytes, bytes] | None = connection.execute(query, (bytes(cid),)).fetchone()
    return row


def drop(connection: sqlite3.Connection, cids: Sequence[CID]) -> None:
    rows = _CIDS.pack([bytes(cid)] for cid in cids)
    connection.execute(f"DELETE FROM walks WHERE cid IN (SELECT cid FROM {_CIDS.rows})", rows)


def drop_all(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM walks")
