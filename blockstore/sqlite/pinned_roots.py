"""Roots in SQLite: one row a root, and the mark of the blocks that they were written beside."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge
from types import MappingProxyType
from typing import NamedTuple

from blockstore.cid import CID
from blockstore.common.packed_rows import RowLayout, one_row
from blockstore.errors import BadCid
from blockstore.sqlite import walk_states
from blockstore.sqlite.database import DamagedRow

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a root that was promised outlives a power failure
    "PRAGMA journal_size_limit=4194304",
    "PRAGMA busy_timeout=5000",
)
# A root that was complete, and of which it is not known whether it is, has its counts and `complete` 0.
SCHEMA = """
CREATE TABLE IF NOT EXISTS roots(
    cid BLOB PRIMARY KEY, recursive INTEGER NOT NULL, complete INTEGER NOT NULL, blocks INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beside(one INTEGER PRIMARY KEY CHECK (one = 1), mark BLOB, parts INTEGER);
"""
SCHEMA += walk_states.SCHEMA
REMEDY = (
    "restore it from a backup, or remove it: the node then looks through its blocks again and fetches what "
    "its pins lack"
)
_SELECT = "SELECT cid, recursive, complete, blocks, bytes FROM roots"
_PAGE = 1000
_CIDS = RowLayout(cid=bytes)
_ROOTS = RowLayout(cid=bytes, recursive=int, complete=int, blocks=int, bytes=int)
_RANGE = (
    "SELECT json_group_array(hex(cid)), json_group_array(recursive), json_group_array(complete),"
    f" json_group_array(blocks), json_group_array(bytes) FROM ({_SELECT}"
    " WHERE cid > ? AND cid <= ? ORDER BY cid LIMIT ?)"
)


class PinnedRoot(NamedTuple):
    """A root, alone or with all below it. Blocks and bytes count once it is complete: all of it is here.

    One that has blocks and is not complete was so once: part of it was lost, or may be.
    """

    cid: CID
    complete: bool
    recursive: bool
    blocks: int
    bytes: int


class Begun(NamedTuple):
    """Roots as they are from here on, and how many of them are new."""

    roots: list[PinnedRoot]
    more: int


NO_ROOTS: Mapping[CID, PinnedRoot] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RootColumns:
    """Roots in order, as columns: an object each would cost more than reading them."""

    cids: Sequence[bytes]
    recursive: Sequence[int]
    complete: Sequence[int]
    blocks: Sequence[int]
    sizes: Sequence[int]  # bytes


def begin(
    connection: sqlite3.Connection, roots: Mapping[CID, bool], whole: Mapping[CID, PinnedRoot] = NO_ROOTS
) -> Begun:
    """A recursive root stays recursive, a direct one may become it.

    True of a CID: it is to be recursive. Those that are `whole` as given there are complete at once.
    """
    known = _found(connection, list(roots))
    new = {
        cid: whole.get(cid) or PinnedRoot(cid, False, recursive, 0, 0)
        for cid, recursive in roots.items()
        if (root := known.get(cid)) is None or (recursive and not root.recursive)
    }
    _put(connection, list(new.values()))
    return Begun([new.get(cid) or known[cid] for cid in roots], len(new.keys() - known.keys()))


def record(connection: sqlite3.Connection, roots: Sequence[PinnedRoot]) -> list[PinnedRoot]:
    """Keep finished roots, but for those of which a recursive pin has begun while a direct one ended."""
    known = _found(connection, [root.cid for root in roots if not root.recursive])
    larger = {cid: root for cid, root in known.items() if root.recursive}
    kept = [root for root in roots if root.recursive or root.cid not in larger]
    _put(connection, kept)
    walk_states.drop(connection, [root.cid for root in kept])
    return [root if root.recursive else larger.get(root.cid, root) for root in roots]


def _put(connection: sqlite3.Connection, roots: Sequence[PinnedRoot]) -> None:
    if not roots:
        return
    rows = _ROOTS.pack(
        (bytes(root.cid), int(root.recursive), int(root.complete), root.blocks, root.bytes) for root in roots
    )
    statement = "INSERT OR REPLACE INTO roots SELECT cid, recursive, complete, blocks, bytes"
    connection.execute(f"{statement} FROM {_ROOTS.rows} WHERE true", rows)


def forget(connection: sqlite3.Connection, cids: Sequence[CID]) -> int:
    """How many of them there were."""
    rows = _CIDS.pack([bytes(cid)] for cid in cids)
    walk_states.drop(connection, cids)
    return connection.execute(f"DELETE FROM roots WHERE cid IN (SELECT cid FROM {_CIDS.rows})", rows).rowcount


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM roots").fetchone()[0])


def find(connection: sqlite3.Connection, cids: Sequence[CID]) -> list[PinnedRoot | None]:
    """In order."""
    found = _found(connection, cids)
    return [found.get(cid) for cid in cids]


def _found(connection: sqlite3.Connection, cids: Sequence[CID]) -> dict[CID, PinnedRoot]:
    if not cids:
        return {}
    query = (
        f"SELECT {one_row('place', 'recursive', 'complete', 'blocks', 'bytes')}"
        f" FROM {_CIDS.rows} AS wanted CROSS JOIN roots ON roots.cid = wanted.cid"
    )
    (text,) = connection.execute(query, _CIDS.pack([bytes(cid)] for cid in cids)).fetchone()
    return {cids[place]: _root(bytes(cids[place]), *row) for place, *row in json.loads(text)}


def behind(connection: sqlite3.Connection, last: bytes) -> list[PinnedRoot]:
    """In order. Raises DamagedRow where they are not: to go on behind the last would never end."""
    found: list[PinnedRoot] = []
    for row in connection.execute(f"{_SELECT} WHERE cid > ? ORDER BY cid LIMIT ?", (last, _PAGE)).fetchall():
        found.append(root := _root(*row))
        if bytes(root.cid) <= last:
            raise DamagedRow(f"pin {root.cid} is not where it belongs")
        last = bytes(root.cid)
    return found


def within(connection: sqlite3.Connection, after: bytes, until: bytes, limit: int) -> RootColumns:
    """The roots behind `after` up to `until`, as one row. Raises DamagedRow where they are not in order."""
    columns = [json.loads(text) for text in connection.execute(_RANGE, (after, until, limit)).fetchone()]
    cids, counts = list(map(bytes.fromhex, columns[0])), columns[1:]
    if any(map(ge, [after, *cids], cids)):
        raise DamagedRow(f"a pin behind {after.hex()} is not where it belongs")
    if not all(type(count) is int for column in counts for count in column):
        raise DamagedRow(f"a pin behind {after.hex()} has counts that are no numbers")
    return RootColumns(cids, *counts)


def doubt(connection: sqlite3.Connection, cid: CID) -> None:
    """It is not known to be complete any more."""
    connection.execute("UPDATE roots SET complete = 0 WHERE cid = ?", (bytes(cid),))
    walk_states.drop(connection, [cid])


def doubt_all(connection: sqlite3.Connection) -> int:
    """How many were complete."""
    walk_states.drop_all(connection)
    return connection.execute("UPDATE roots SET complete = 0 WHERE complete").rowcount


def beside(connection: sqlite3.Connection, mark: bytes, parts: int) -> None:
    """The roots are written beside blocks that have that mark, in so many files."""
    connection.execute("INSERT OR REPLACE INTO beside VALUES(1, ?, ?)", (mark, parts))


def known_beside(connection: sqlite3.Connection) -> tuple[bytes, int] | None:
    """Mark and number of files, where some were noted."""
    row: tuple[bytes, int] | None = connection.execute("SELECT mark, parts FROM beside").fetchone()
    return row


def _root(cid: bytes, recursive: int, complete: int, blocks: int, size: int) -> PinnedRoot:
    """Raises DamagedRow."""
    try:
        return PinnedRoot(CID.decode(cid), bool(complete), bool(recursive), int(blocks), int(size))
    except (BadCid, TypeError, ValueError) as error:
        raise DamagedRow(str(error)) from None
