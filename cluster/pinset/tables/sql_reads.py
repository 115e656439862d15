"""What is read of the pinset's tables, as SQL; every listing is driven by an index and bounded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from blockstore.common.packed_rows import RowLayout, one_row, unpack_blobs
from cluster.pinset.documents.clocks import decode_clocks
from cluster.pinset.documents.document_digest import whole
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.tables.live_entries import LiveEntries
from cluster.pinset.tables.rows import (
    NO_DOCUMENT,
    NO_OUTLINE,
    DigestSum,
    DigestSums,
    DocumentOutline,
    Head,
    StoredDocument,
)

_NUMBER = RowLayout(number=int)
_CID = RowLayout(cid=bytes)
_BEGIN = "coalesce((SELECT min(b.sequence) FROM batches b WHERE b.log = logs.id), sequence + 1)"
"""Where a log begins: its first batch that is here, or the one that will come next."""


def read_documents(db: sqlite3.Connection, numbers: Sequence[int]) -> list[StoredDocument]:
    updates = "SELECT data FROM updates WHERE document = number ORDER BY position"
    columns = "hex(snapshot)", f"(SELECT group_concat(hex(data), ' ') FROM ({updates}))"
    found = f"SELECT number, snapshot FROM {_NUMBER.rows} LEFT JOIN documents USING (number) ORDER BY place"
    (text,) = db.execute(
        f"SELECT {one_row(*columns)} FROM ({found})", _NUMBER.pack((number,) for number in numbers)
    ).fetchone()
    return [_document(*row) for row in json.loads(text)]


def read_outlines(
    db: sqlite3.Connection, numbers: Sequence[int], cids: Sequence[bytes]
) -> tuple[list[DocumentOutline], Mapping[bytes, bytes | None]]:
    """Of each document; and those of the CIDs that are pinned, with the value, or were, with None."""
    columns = "digest1", "digest2", "clocks IS NULL", "hex(clocks)", "length(snapshot)", "updates", "bytes"
    tail = "(SELECT {} FROM updates WHERE document = number)"
    found = (
        f"SELECT digest1, digest2, clocks, snapshot, {tail.format('count(*)')} AS updates,"
        f" {tail.format('coalesce(sum(length(data)), 0)')} AS bytes"
        f" FROM {_NUMBER.rows} LEFT JOIN documents USING (number) ORDER BY place"
    )
    packed = _NUMBER.pack((number,) for number in numbers)
    (text,) = db.execute(f"SELECT {one_row(*columns)} FROM ({found})", packed).fetchone()
    return [_outline(*row) for row in json.loads(text)], _known(db, cids)


def _outline(
    first: int | None, second: int, unknown: bool, clocks: str, snapshot: int, updates: int, size: int
) -> DocumentOutline:
    if first is None:
        return NO_OUTLINE
    decoded = None if unknown else decode_clocks(bytes.fromhex(clocks))
    return DocumentOutline(whole(first, second), decoded, snapshot, updates, size)


def _known(db: sqlite3.Connection, cids: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
    removed = "EXISTS (SELECT 1 FROM removed WHERE removed.cid = asked.cid)"
    (text,) = db.execute(
        f"SELECT {one_row('place', 'hex(value)')} FROM {_CID.rows} AS asked LEFT JOIN pins USING (cid)"
        f" WHERE value NOT NULL OR {removed}",
        _CID.pack((cid,) for cid in cids),
    ).fetchone()
    return {cids[place]: bytes.fromhex(value) if value else None for place, value in json.loads(text)}


def _document(snapshot: str, updates: str | None) -> StoredDocument:
    if not snapshot and not updates:
        return NO_DOCUMENT
    return StoredDocument(bytes.fromhex(snapshot), tuple(map(bytes.fromhex, (updates or "").split())))


def read_heads(db: sqlite3.Connection, after: int, limit: int) -> list[Head]:
    columns = "author", "epoch", "sequence", "arrival", "begin", "hex(hash)"
    rows = f"SELECT *, {_BEGIN} AS begin FROM logs WHERE arrival > ? ORDER BY arrival LIMIT ?"
    (text,) = db.execute(f"SELECT {one_row(*columns)} FROM ({rows})", (after, limit)).fetchone()
    return [
        Head(AuthorLog(author, epoch), sequence, arrival, begin, bytes.fromhex(hash_))
        for author, epoch, sequence, arrival, begin, hash_ in json.loads(text)
    ]


def read_batches_after(db: sqlite3.Connection, arrival: int, max_bytes: int) -> list[tuple[int, bytes]]:
    chosen: list[tuple[int, bytes]] = []
    total = 0
    while total < max_bytes:
        row = db.execute(
            "SELECT arrival, envelope FROM batches WHERE arrival > ? ORDER BY arrival LIMIT 1", (arrival,)
        ).fetchone()
        if row is None or row[0] <= arrival:  # the latter is damage, and would never end
            break
        arrival = row[0]
        total += len(row[1])
        chosen.append((arrival, bytes(row[1])))
    return chosen


def sum_digests(db: sqlite3.Connection, first: int, last: int, shift: int) -> DigestSums:
    rows = db.execute(
        "SELECT number >> ?, count(*), sum(digest1), sum(digest2) FROM documents"
        " WHERE number >= ? AND number < ? GROUP BY 1",
        (shift, first, last),
    ).fetchall()
    return {number: DigestSum(count, first, second) for number, count, first, second in rows}


def read_values(db: sqlite3.Connection, cids: Sequence[bytes]) -> list[bytes | None]:
    found = f"SELECT value FROM {_CID.rows} LEFT JOIN pins USING (cid) ORDER BY place"
    (text,) = db.execute(
        f"SELECT json_group_array(CASE WHEN value NOT NULL THEN hex(value) END) FROM ({found})",
        _CID.pack((cid,) for cid in cids),
    ).fetchone()
    return unpack_blobs(text)


def read_live(db: sqlite3.Connection) -> Mapping[int, LiveEntries]:
    (text,) = db.execute(f"SELECT {one_row('client', 'pins', 'bytes')} FROM live_entries").fetchone()
    return {client: LiveEntries(pins, size) for client, pins, size in json.loads(text)}


def read_facts(db: sqlite3.Connection) -> Mapping[str, bytes]:
    return {str(key): bytes(value) for key, value in db.execute("SELECT key, value FROM cluster_facts")}


def are_removed(db: sqlite3.Connection, cids: Sequence[bytes]) -> list[bool]:
    (text,) = db.execute(
        "SELECT json_group_array(cid IN (SELECT cid FROM removed))"
        f" FROM (SELECT cid FROM {_CID.rows} ORDER BY place)",
        _CID.pack((cid,) for cid in cids),
    ).fetchone()
    return [bool(removed) for removed in json.loads(text)]


def is_cut(db: sqlite3.Connection) -> bool:
    return db.execute(f"SELECT 1 FROM logs WHERE {_BEGIN} > 1").fetchone() is not None
