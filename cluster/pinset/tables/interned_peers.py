"""Versions 2 and 3 of the tables: peers are numbers, pins of everywhere have no row, times an index.

And a log says the hash of its last batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from blockstore.common.packed_rows import RowLayout, joined_blobs, part_blobs
from cluster.common.pin_codec import decode_pin
from cluster.errors import BadUpdate
from cluster.pinset.tables.rows import PinRow

VERSION = 2
COLUMN = "everywhere"
STATEMENTS = (
    "ALTER TABLE logs ADD COLUMN hash BLOB",  # of the batch at the head; NULL where 0.1 wrote that
    "ALTER TABLE pins ADD COLUMN created REAL",
    f"ALTER TABLE pins ADD COLUMN {COLUMN} INTEGER",
)

_TIMES = RowLayout(cid=bytes, created=float, everywhere=int)
_ALLOCATED = RowLayout(peer=str, cid=bytes)
_NEXT = (
    f"SELECT {joined_blobs('cid')}, {joined_blobs('value')} FROM ("
    "SELECT cid, value FROM pins WHERE cid > ? ORDER BY cid LIMIT ?)"
)


def allocate(db: sqlite3.Connection, rows: Iterable[PinRow]) -> None:
    """Note who is to hold these pins."""
    packed = [(peer, row.cid) for row in rows for peer in row.allocations]
    if not packed:
        return
    arguments = _ALLOCATED.pack(packed)
    db.execute(f"INSERT OR IGNORE INTO peers (peer) SELECT DISTINCT peer FROM {_ALLOCATED.rows}", arguments)
    db.execute(
        "INSERT OR IGNORE INTO allocated SELECT id, cid"
        f" FROM {_ALLOCATED.rows} AS held CROSS JOIN peers USING (peer)",
        arguments,
    )


def deallocate(db: sqlite3.Connection, rows: Iterable[PinRow]) -> None:
    """What `allocate` noted of them is gone."""
    packed = [(peer, row.cid) for row in rows for peer in row.allocations]
    if packed:
        db.execute(
            "DELETE FROM allocated WHERE (peer, cid) IN (SELECT id, cid"
            f" FROM {_ALLOCATED.rows} AS held CROSS JOIN peers USING (peer))",
            _ALLOCATED.pack(packed),
        )


def bring_forward(db: sqlite3.Connection, place: bytes, limit: int) -> bytes | None:
    """The next pins' times and holders as this release has them; the CID of the last one."""
    cids, lengths, values, sizes = db.execute(_NEXT, (place, limit)).fetchone()
    found = part_blobs(cids, lengths)
    if not found:
        return None
    rows = list(_readable(found, part_blobs(values, sizes)))
    allocate(db, rows)
    db.execute(
        "INSERT INTO pins (cid, name, value, created, everywhere)"
        f" SELECT cid, '', x'', created, everywhere FROM {_TIMES.rows} WHERE true"
        " ON CONFLICT (cid) DO UPDATE SET created = excluded.created, everywhere = excluded.everywhere",
        _TIMES.pack((row.cid, row.created, row.everywhere) for row in rows),
    )
    return found[-1]


def let_go_of_holders(db: sqlite3.Connection, place: bytes, limit: int) -> bytes | None:
    """The table that `allocated` replaces: emptied page by page, since dropping it whole takes long."""
    gone = db.execute(
        "DELETE FROM holders WHERE (peer, cid) IN (SELECT peer, cid FROM holders LIMIT ?)", (limit,)
    ).rowcount
    if gone:
        return place
    db.execute("DROP TABLE holders")
    return None


def _readable(cids: Iterable[bytes], values: Iterable[bytes]) -> Iterator[PinRow]:
    """Rows that cannot be read stay without: a listing names them, whatever it asks for."""
    for cid, value in zip(cids, values, strict=True):
        try:
            yield PinRow(cid, value, decode_pin(value))
        except BadUpdate:
            continue
