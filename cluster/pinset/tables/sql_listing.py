"""Pages and counts of pins as SQL: each walks a bounded part of one index, and brings back one row."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from blockstore.common.packed_rows import joined_blobs, part_blobs
from cluster.pinset.tables.list_place import Key, ListPlace
from cluster.pinset.tables.walks import BY_CID, Listing

WALKED = 5000
"""Pins that one page passes at most where each has to be looked at: some 10 ms."""

COUNTED = 50_000
"""The same of a count, which reads no pins."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """CIDs and values of pins, in order, and where the walk stopped; None at its end."""

    rows: list[tuple[bytes, bytes]]
    place: ListPlace | None


@dataclass(frozen=True, slots=True)
class PartCount:
    """How many pins were found on the part that was walked, and where that ended."""

    count: int
    place: ListPlace | None


_ROWS = "walked CROSS JOIN pins USING (cid)"
# The last entry of a part that was walked to its bound; NULL where the index, or the page, ended before. For
# that it is walked once more, over entries and no rows.
_END = ", ".join(
    f"CASE WHEN count(*) < :limit THEN (SELECT {column} FROM walked LIMIT 1 OFFSET :walked - 1) END"
    for column in ("place", "cid")
)


def count_all(db: sqlite3.Connection) -> int:
    """SQLite counts the entries of the smallest index page by page, without reading them."""
    return int(db.execute("SELECT count(*) FROM pins").fetchone()[0])


def read_page(db: sqlite3.Connection, listing: Listing, place: ListPlace, limit: int) -> RowPage:
    plain = not listing.tests
    if plain and listing.walk == BY_CID:
        return _read_table(db, place, limit)
    matching = f"SELECT walked.place, walked.cid, value FROM {_ROWS}{_where(listing)} LIMIT :limit"
    found = db.execute(
        f"{_walked(listing)}, found AS ({matching})"
        f" SELECT {joined_blobs('cid')}, {joined_blobs('value')}, max(place), {_END} FROM found",
        _arguments(listing, place, limit if plain else WALKED, limit),
    ).fetchone()
    cids = part_blobs(*found[:2])
    rows = list(zip(cids, part_blobs(*found[2:4]), strict=True))
    last, end = found[4], found[5:]
    if len(rows) == limit:
        return RowPage(rows, ListPlace(listing.walk.name, last, rows[-1][0]))
    return RowPage(rows, _next(listing, *end))


def _read_table(db: sqlite3.Connection, place: ListPlace, limit: int) -> RowPage:
    """Every pin: the rows as they lie, without a second look-up for each."""
    found = db.execute(
        f"SELECT {joined_blobs('cid')}, {joined_blobs('value')} FROM"
        " (SELECT cid, value FROM pins WHERE cid > ? ORDER BY cid LIMIT ?)",
        (place.cid, limit),
    ).fetchone()
    rows = list(zip(part_blobs(*found[:2]), part_blobs(*found[2:]), strict=True))
    return RowPage(rows, ListPlace(BY_CID.name, None, rows[-1][0]) if len(rows) == limit else None)


def count_part(db: sqlite3.Connection, listing: Listing, place: ListPlace) -> PartCount:
    source = _ROWS if any("pins." in test for test in listing.tests) else "walked"
    count, *end = db.execute(
        f"{_walked(listing)} SELECT count(*), {_END} FROM {source}{_where(listing)}",
        _arguments(listing, place, COUNTED, COUNTED + 1),
    ).fetchone()
    return PartCount(count, _next(listing, *end))


def _walked(listing: Listing) -> str:
    """The part of the index that this page passes."""
    walk = listing.walk
    return (
        f"WITH walked AS NOT MATERIALIZED (SELECT {walk.key or 'NULL'} AS place, cid FROM {walk.source}"
        f" WHERE {walk.where} ORDER BY {walk.order} LIMIT :walked)"
    )


def _where(listing: Listing) -> str:
    return f" WHERE {' AND '.join(listing.tests)}" if listing.tests else ""


def _arguments(listing: Listing, place: ListPlace, walked: int, limit: int) -> dict[str, object]:
    at = {"place": place.key, "cid": place.cid, "walked": walked, "limit": limit}
    return {**listing.arguments, **at}


def _next(listing: Listing, key: Key, cid: bytes | None) -> ListPlace | None:
    return None if cid is None else ListPlace(listing.walk.name, key, bytes(cid))
