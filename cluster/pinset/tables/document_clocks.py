"""Version 4 of the tables: clocks stand beside a document, and its digest is a sum of its parts.

Both let a new entry be added to a document that is not read.
"""

from __future__ import annotations

import json
import sqlite3

from blockstore.common.packed_rows import RowLayout
from cluster.pinset.documents.clocks import encode_clocks
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.document_digest import halves
from cluster.pinset.tables.rows import StoredDocument
from cluster.pinset.tables.sql_reads import read_documents

VERSION = 4
STATEMENTS = ("ALTER TABLE documents ADD COLUMN clocks BLOB",)

_MOST = 100  # documents of one transaction: reading one whole takes up to 0.2 ms
_READER = 1  # a client id that writes nothing
_NOTED = RowLayout(number=int, digest1=int, digest2=int, clocks=bytes)
_NEXT = (
    "SELECT json_group_array(number) FROM (SELECT number FROM documents"
    " WHERE number > ? AND clocks IS NULL ORDER BY number LIMIT ?)"
)


def bring_forward(db: sqlite3.Connection, place: bytes, limit: int) -> bytes | None:
    """The next documents' clocks and digests as this release has them; the number of the last one."""
    after = int.from_bytes(place) if place else -1
    numbers: list[int] = json.loads(db.execute(_NEXT, (after, min(limit, _MOST))).fetchone()[0])
    if not numbers:
        return None
    rows = [_noted(*one) for one in zip(numbers, read_documents(db, numbers), strict=True)]
    db.execute(
        "INSERT INTO documents (number, snapshot, digest1, digest2, clocks)"
        f" SELECT number, x'', digest1, digest2, clocks FROM {_NOTED.rows} WHERE true"
        " ON CONFLICT (number) DO UPDATE SET"
        " digest1 = excluded.digest1, digest2 = excluded.digest2, clocks = excluded.clocks",
        _NOTED.pack(row for row in rows if row is not None),
    )
    return numbers[-1].to_bytes(8)


def _noted(number: int, stored: StoredDocument) -> tuple[int, int, int, bytes] | None:
    """None of one that cannot be read: comparing documents with other members finds it."""
    try:
        document = Document(_READER, (state for state in (stored.snapshot, *stored.updates) if state))
    except ValueError:
        return None
    return number, *halves(document.digest()), encode_clocks(document.clocks)
