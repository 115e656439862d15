"""The statements about blocks: what runs on a connection's own thread."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from operator import ge

from blockstore.common.packed_rows import RowLayout, joined_blobs, part_blobs
from blockstore.leaf import HEAD_BYTES, holds_only_data
from blockstore.sqlite import totals
from blockstore.sqlite.database import DamagedRow

# Not WITHOUT ROWID: with blobs its key comparison walks overflow pages. `data` comes last, so that the other
# columns are read without it.
SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks(
    id INTEGER PRIMARY KEY, mh BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, only_data INTEGER NOT NULL,
    data BLOB NOT NULL
);
"""

# The multihash is that of the row itself, not of the index entry that led to it: a damaged entry that leads
# to another block is like none.
NAMED = "FROM blocks AS named CROSS JOIN blocks AS b ON b.id = named.id WHERE named.mh IN"

_LARGE = 128 * 1024  # bytes of a block from which on opening it by its row is worth a call
_KEYS_A_PAGE = 1000
_NAMES = RowLayout(mh=bytes)
_WIDTHS = (1, 16, 256)  # so that few statements serve every number of keys, and all stay prepared


@dataclass(frozen=True, slots=True)
class Row:
    """Where a block lies; `only_data` as in `holds_only_data`."""

    id: int
    size: int
    only_data: bool


def count(connection: sqlite3.Connection) -> tuple[int, int]:
    """Blocks and their bytes, counted one by one."""
    query = f"SELECT count(*), coalesce(sum({totals.SIZE}), 0) FROM blocks AS b"
    blocks, size = connection.execute(query).fetchone()
    return blocks, size


def last_id(connection: sqlite3.Connection) -> int:
    row: int = connection.execute("SELECT coalesce(max(id), 0) FROM blocks").fetchone()[0]
    return row


def bodies(connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
    """Row and data of those that are here, by multihash."""
    found: dict[bytes, tuple[int, bytes]] = {}
    large: dict[bytes, int] = {}
    connection.execute("SAVEPOINT look")  # one snapshot for both looks
    try:
        for marks, keys in _groups(multihashes):
            query = f"SELECT b.mh, b.id, iif({totals.SIZE} < {_LARGE}, b.data, NULL) {NAMED} ({marks})"
            for multihash, row, body in connection.execute(query, keys):
                if body is None:
                    large[multihash] = row
                else:
                    found[multihash] = row, body
        found.update((multihash, (row, large_body(connection, row))) for multihash, row in large.items())
    finally:
        connection.execute("RELEASE look")
    return found


def numbers(connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> list[int]:
    """The rows of those that are here, as the index has them: no row is looked at."""
    query = (
        f"SELECT json_group_array(blocks.id) FROM {_NAMES.rows} AS wanted"
        " CROSS JOIN blocks ON blocks.mh = wanted.mh"
    )
    found = connection.execute(query, _NAMES.pack([name] for name in multihashes)).fetchone()
    rows: list[int] = json.loads(found[0])
    return rows


def is_known(connection: sqlite3.Connection, multihash: bytes) -> bool:
    """Whether the index has the name, whatever lies in the row."""
    return connection.execute("SELECT id FROM blocks WHERE mh = ?", (multihash,)).fetchone() is not None


def large_body(connection: sqlite3.Connection, row: int) -> bytes:
    """A block read straight into its bytes: SELECT has SQLite make a copy first, then Python another."""
    with connection.blobopen("blocks", "data", row, readonly=True) as blob:
        return blob.read()


def rows(connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, Row]:
    """The rows of those that are here, by multihash."""
    found: dict[bytes, Row] = {}
    for marks, keys in _groups(multihashes):
        query = f"SELECT b.mh, b.id, {totals.SIZE}, b.only_data {NAMED} ({marks})"
        for multihash, row, size, only_data in connection.execute(query, keys).fetchall():
            found[multihash] = Row(row, size or 0, bool(only_data) and is_only_data(connection, row))
    return found


def is_only_data(connection: sqlite3.Connection, row: int) -> bool:
    """Whether the bytes themselves say so: what the column says wrongly would have others collected.

    They begin on the page that was just read. False where they cannot be read.
    """
    try:
        with connection.blobopen("blocks", "data", row, readonly=True) as blob:
            return holds_only_data(blob.read(HEAD_BYTES), len(blob))
    except sqlite3.Error:
        return False


def keys_after(connection: sqlite3.Connection, last: bytes) -> list[bytes]:
    """In order. Raises DamagedRow where they are not: to go on behind the last would never end."""
    query = "SELECT mh FROM blocks WHERE mh > ? ORDER BY mh LIMIT ?"
    page: list[bytes] = []
    for (multihash,) in connection.execute(query, (last, _KEYS_A_PAGE)).fetchall():
        if not isinstance(multihash, bytes) or multihash <= last:
            raise DamagedRow("the names of its blocks are not in order")
        page.append(last := multihash)
    return page


def ids_between(
    connection: sqlite3.Connection, last: int, end: int, limit: int = _KEYS_A_PAGE
) -> list[tuple[int, bytes]]:
    """In order. Raises DamagedRow where they are not: a page of something else lies where one of these was.

    SQLite does not notice, and to delete rows beside such a page would take others with them.
    """
    query = (
        f"SELECT json_group_array(id), {joined_blobs('mh')}, total(typeof(mh) != 'blob') FROM"
        " (SELECT id, mh FROM blocks WHERE id > ? AND id < ? ORDER BY id LIMIT ?)"
    )
    text, joined, lengths, strange = connection.execute(query, (last, end, limit)).fetchone()
    ids: list[int] = json.loads(text)
    for row in ids if strange else itertools.compress(ids, map(ge, [last, *ids], ids)):
        raise DamagedRow(f"row {row} of its blocks is not where it belongs")
    return list(zip(ids, part_blobs(joined, lengths), strict=True))


def insert(connection: sqlite3.Connection, first: int, new: Sequence[tuple[bytes, bytes]]) -> None:
    """Add blocks that are not here yet, numbered upwards from `first`."""
    connection.executemany(
        "INSERT INTO blocks(id, mh, size, only_data, data) VALUES(?, ?, ?, ?, ?)",
        (
            (row, multihash, len(body), holds_only_data(body, len(body)), body)
            for row, (multihash, body) in enumerate(new, first)
        ),
    )
    totals.add(connection, len(new), sum(len(body) for _, body in new))


def delete(connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> None:
    delete_rows(connection, [row.id for row in rows(connection, multihashes).values()])


def delete_rows(connection: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[int], int]:
    """Those that were there and are gone, and their bytes."""
    found = sizes(connection, ids)
    rows, total = [row for row, _ in found], sum(size for _, size in found)
    query = "DELETE FROM blocks WHERE id IN (SELECT value FROM json_each(?))"
    connection.execute(query, (json.dumps(rows),)).close()
    totals.add(connection, -len(rows), -total)
    return rows, total


def sizes(connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Row and bytes of those that are there, in that order."""
    query = (
        f"SELECT json_group_array(json_array(b.id, {totals.SIZE})) FROM json_each(?) AS wanted"
        " CROSS JOIN blocks AS b ON b.id = wanted.value"
    )
    (text,) = connection.execute(query, (json.dumps(ids),)).fetchone()
    return [(row, size or 0) for row, size in json.loads(text)]


def _groups(keys: Sequence[bytes]) -> Generator[tuple[str, Sequence[bytes]]]:
    """Question marks and keys of a few fixed widths: the last key is repeated, which IN does not mind."""
    for start in range(0, len(keys), _WIDTHS[-1]):
        group = list(keys[start : start + _WIDTHS[-1]])
        width = next(width for width in _WIDTHS if width >= len(group))
        yield ",".join("?" * width), group + group[-1:] * (width - len(group))
