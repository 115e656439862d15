"""Key ranges of the pinset as one row each: beside a busy loop every step of a statement may cost 5 ms."""

from __future__ import annotations

import sqlite3

from cluster.interfaces import StoredPins
from cluster.pin import KeyRange

_MOST = 1024 * 1024  # bytes of values in one answer; in SQLite's hands they are twice as many, in hex
_RANGE = "FROM pins WHERE cid > ? AND cid <= ? ORDER BY cid LIMIT ?"


def read_stored(db: sqlite3.Connection, keys: KeyRange, limit: int) -> StoredPins:
    while limit > 1 and _bytes(db, keys, limit) > _MOST:
        limit //= 2
    cids, values = db.execute(
        f"SELECT group_concat(hex(cid)), group_concat(hex(value)) FROM (SELECT cid, value {_RANGE})",
        (keys.after, keys.until, limit),
    ).fetchone()
    if cids is None:
        return StoredPins((), (), keys.until)
    found = _blobs(cids)
    return StoredPins(found, _blobs(values), found[-1] if len(found) == limit else keys.until)


def _bytes(db: sqlite3.Connection, keys: KeyRange, limit: int) -> int:
    """Those of the values; it reads where they begin, and none of them."""
    (size,) = db.execute(
        f"SELECT total(size) FROM (SELECT length(value) AS size {_RANGE})", (keys.after, keys.until, limit)
    ).fetchone()
    return int(size)


def _blobs(text: str) -> list[bytes]:
    return list(map(bytes.fromhex, text.split(",")))
