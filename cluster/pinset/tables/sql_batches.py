"""Pages of the log for members that catch up, as SQL: two steps a page, however many logs and batches."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import accumulate

from blockstore.common.packed_rows import RowLayout, joined_blobs, one_row, part_blobs
from cluster.pinset.log.batch import AuthorLog

MAX_BATCHES = 2048
"""Batches in one page. Where each is one pin that is a page of nearly a mebibyte."""

_WANTED = RowLayout(author=str, epoch=int, sequence=int)
_ARRIVAL = RowLayout(arrival=int)


def read_batches(
    db: sqlite3.Connection, wants: Sequence[tuple[AuthorLog, int]], max_bytes: int
) -> list[bytes]:
    """Envelopes behind the given sequence of each log, in order of arrival."""
    if not wants:
        return []
    chosen = _first_bytes(_candidates(db, wants), max_bytes)
    rows = f"SELECT b.envelope FROM {_ARRIVAL.rows} CROSS JOIN batches b USING (arrival) ORDER BY place"
    found = db.execute(
        f"SELECT {joined_blobs('envelope')} FROM ({rows})", _ARRIVAL.pack((one,) for one in chosen)
    )
    return part_blobs(*found.fetchone())


def _candidates(db: sqlite3.Connection, wants: Sequence[tuple[AuthorLog, int]]) -> list[tuple[int, int]]:
    """(arrival, size) of the next batches of these logs, as far as none between them is left out."""
    most = max(MAX_BATCHES // len(wants), 1)
    packed = _WANTED.pack((log.author, log.epoch, sequence) for log, sequence in wants)
    (text,) = db.execute(
        f"SELECT {one_row('place', 'arrival', 'size')}"
        " FROM (SELECT place, b.arrival, length(b.envelope) AS size"
        f" FROM {_WANTED.rows} w CROSS JOIN logs l ON l.author = w.author AND l.epoch = w.epoch"
        " CROSS JOIN batches b ON b.log = l.id AND b.sequence > w.sequence AND b.sequence <= w.sequence + ?3"
        " ORDER BY b.arrival)",
        (*packed, most),
    ).fetchone()
    rows: list[tuple[int, int, int]] = json.loads(text)
    left = [most] * len(wants)
    for index, (place, _, _) in enumerate(rows):
        left[place] -= 1
        if not left[place]:  # what comes behind may build on this log's next ones, which were not read
            rows = rows[: index + 1]
            break
    return [(arrival, size) for _, arrival, size in rows]


def _first_bytes(found: Sequence[tuple[int, int]], max_bytes: int) -> list[int]:
    """The first arrivals that hold about that many bytes, one at least."""
    ends = accumulate(size for _, size in found)
    return [
        arrival
        for index, ((arrival, _), end) in enumerate(zip(found, ends, strict=True))
        if not index or end <= max_bytes
    ]
