"""The rows of all pins as SQL, for a state that is exported."""

from __future__ import annotations

import sqlite3

from blockstore.common.packed_rows import joined_blobs
from cluster.pinset.tables.packed_pins import PackedPins


def count_rows(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM pins").fetchone()[0])


def read_rows(db: sqlite3.Connection, after: bytes, limit: int) -> PackedPins | None:
    """The next rows, in one step; None behind the last."""
    cids, cid_lengths, values, value_lengths, last = db.execute(
        f"SELECT {joined_blobs('cid')}, {joined_blobs('value')}, max(cid)"
        " FROM (SELECT cid, value FROM pins WHERE cid > ? ORDER BY cid LIMIT ?)",
        (after, limit),
    ).fetchone()
    if last is None:
        return None
    return PackedPins(cids or b"", cid_lengths, values or b"", value_lengths, bytes(last))
