"""Rows of blocks whose bytes lie in volumes, but for small ones, which lie in their rows."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

from blockstore.common.packed_rows import RowLayout, joined_blobs, one_row, part_blobs
from blockstore.disk.page_cache import drop_cached
from blockstore.leaf import HEAD_BYTES, holds_only_data
from blockstore.sqlite import file_pages, statements, totals
from blockstore.sqlite.statements import Row
from blockstore.volumes import volume_rows
from blockstore.volumes.body_reader import read_bodies
from blockstore.volumes.open_volumes import OpenVolumes, VolumeAway
from blockstore.volumes.read_generations import ReadGenerations
from blockstore.volumes.record import RecordHead
from blockstore.volumes.volume_appender import Extent, VolumeAppender
from blockstore.volumes.volume_rows import DATA_BYTES, BlockPlace, PlacedName

INLINE_BYTES = 2048
"""Blocks up to here lie in their rows (docs/decisions/0009)."""

_log = logging.getLogger(__name__)

_NAMES = RowLayout(mh=bytes)
_ROWS = RowLayout(id=int, mh=bytes, size=int, only_data=int, data=bytes)
_NAMES_A_STEP = 256
_ROWS_A_STEP = 4096

# As in `statements`: the multihash is that of the row itself. A row with a place holds the first bytes of its
# block, by which it is seen whether the block links to others.
_FOUND = (
    f"FROM {_NAMES.rows} AS wanted CROSS JOIN blocks AS named ON named.mh = wanted.mh"
    " CROSS JOIN blocks AS b ON b.id = named.id LEFT JOIN places AS p ON p.id = b.id WHERE b.mh = wanted.mh"
)
_IN_ROW = 64 * 1024  # bytes of a block in its row that are read along with others
_BODIES = (
    f"SELECT {one_row('wanted.place', 'b.id', 'p.volume', 'p.start', 'p.bytes', 'length(b.data)')},"
    f" {joined_blobs(f'iif(p.id IS NULL AND length(b.data) < {_IN_ROW}, b.data, NULL)')} {_FOUND}"
)
_BODY = (
    "SELECT iif(p.id IS NULL, b.data, NULL), b.id, p.volume, p.start, p.bytes, length(b.data)"
    " FROM blocks AS named CROSS JOIN blocks AS b ON b.id = named.id LEFT JOIN places AS p ON p.id = b.id"
    " WHERE named.mh = ?1 AND b.mh = ?1"
)
_HEAD = f"iif(length(b.data) <= {INLINE_BYTES}, hex(substr(b.data, 1, {HEAD_BYTES})), NULL)"
_SIZE = f"iif(p.id IS NULL, {totals.SIZE}, {DATA_BYTES})"
_LOOK = (
    "SELECT "
    + one_row("wanted.place", "b.id", _SIZE, "b.only_data", "p.volume", _HEAD)
    + f" {_FOUND}"
)  # fmt: skip
_SIZES = (
    f"SELECT {one_row('b.id', _SIZE)} FROM json_each(?) AS wanted"
    " CROSS JOIN blocks AS b ON b.id = wanted.value LEFT JOIN places AS p ON p.id = b.id"
)


class PlacedRows:
    """BlockRows over the file of places and the volumes. `away`: volumes that are not here at present."""

    def __init__(self, volumes: OpenVolumes, appender: VolumeAppender, generations: ReadGenerations) -> None:
        self._volumes = volumes
        self._appender = appender
        self._generations = generations
        self.away: set[int] = set()
        self.on_away: Callable[[], None] = lambda: None
        """Called from any thread when a volume is found to be away that was here."""

    def bodies(
        self, connection: sqlite3.Connection, multihashes: Sequence[bytes]
    ) -> dict[bytes, tuple[int, bytes]]:
        found: dict[bytes, tuple[int, bytes]] = {}
        for start in range(0, len(multihashes), _NAMES_A_STEP):
            with self._generations.reading():
                found |= self._bodies(connection, multihashes[start : start + _NAMES_A_STEP])
        return found

    def rows(self, connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, Row]:
        return self._look(connection, multihashes, self.away)

    def all_rows(self, connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, Row]:
        return self._look(connection, multihashes, frozenset())

    def insert(self, connection: sqlite3.Connection, first: int, new: Sequence[tuple[bytes, bytes]]) -> None:
        if self.away:
            self._forget_away(connection, [name for name, _ in new])
        large = [(row, block) for row, block in enumerate(new, first) if len(block[1]) > INLINE_BYTES]
        extents = self._appender.append(connection, [block for _, block in large]) if large else []
        add_rows(connection, [(row, *block) for row, block in enumerate(new, first)])
        add_extents(connection, [row for row, _ in large], extents)
        totals.add(connection, len(new), sum(len(body) for _, body in new))

    def sizes(self, connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[int, int]]:
        (text,) = connection.execute(_SIZES, (json.dumps(ids),)).fetchone()
        return [(row, size or 0) for row, size in json.loads(text)]

    def delete(self, connection: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[int], int]:
        found = self.sizes(connection, ids)
        rows, total = [row for row, _ in found], sum(size for _, size in found)
        query = "DELETE FROM blocks WHERE id IN (SELECT value FROM json_each(?))"
        connection.execute(query, (json.dumps(rows),)).close()
        totals.add(connection, -len(rows), -total)
        return rows, total

    def uncache(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        places = volume_rows.places(connection, ids)
        outside = {place.id for place in places}
        file_pages.uncache(connection, "blocks", [row for row in ids if row not in outside])
        for volume in {place.volume for place in places} - self.away:
            with self._volumes.using(volume) as file:
                drop_cached(file, [(place.start, place.bytes) for place in places if place.volume == volume])

    def count(self, connection: sqlite3.Connection) -> tuple[int, int]:
        query = (
            f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM blocks AS b LEFT JOIN places AS p USING (id)"
        )
        blocks, size = connection.execute(query).fetchone()
        return blocks, size

    def beside(self, connection: sqlite3.Connection) -> int:
        return volume_rows.live_bytes(connection)

    def freed(self, connection: sqlite3.Connection) -> int:
        return volume_rows.freed_bytes(connection)

    def measured(self) -> int:
        return self._volumes.folders.held()

    def _bodies(
        self, connection: sqlite3.Connection, names: Sequence[bytes]
    ) -> dict[bytes, tuple[int, bytes]]:
        found: dict[bytes, tuple[int, bytes]] = {}
        placed: list[PlacedName] = []
        for row in _one(connection, names[0]) if len(names) == 1 else _several(connection, names):
            if (place := row.place) is None:
                found[row.name] = row.id, _inline(connection, row)
            elif place.place.volume not in self.away:
                placed.append(place)
        return found | self._read(placed)

    def _read(self, placed: Sequence[PlacedName]) -> dict[bytes, tuple[int, bytes]]:
        """Of volumes that are here. Raises OSError."""
        try:
            bodies = read_bodies(self._volumes, placed)
        except VolumeAway as error:
            self._lose(error)
            return self._read([name for name in placed if name.place.volume not in self.away])
        return {name.multihash: (name.place.id, bodies[name.multihash]) for name in placed}

    def _lose(self, error: VolumeAway) -> None:
        _log.error("the blocks of volume %d count as missing: %s", error.number, error)
        self.away.add(error.number)
        self.on_away()

    def _look(
        self, connection: sqlite3.Connection, multihashes: Sequence[bytes], away: set[int] | frozenset[int]
    ) -> dict[bytes, Row]:
        found: dict[bytes, Row] = {}
        for begin in range(0, len(multihashes), _ROWS_A_STEP):
            names = multihashes[begin : begin + _ROWS_A_STEP]
            text = connection.execute(_LOOK, _NAMES.pack([(name,) for name in names])).fetchone()[0]
            for key, row, size, only_data, volume, head in json.loads(text):
                if volume not in away:
                    alone = bool(only_data) and _only_data(connection, row, size or 0, head)
                    found[names[key]] = Row(row, size or 0, alone)
        return found

    def _forget_away(self, connection: sqlite3.Connection, names: Sequence[bytes]) -> None:
        """They come again, so the copies that are away are forgotten."""
        rows = self.all_rows(connection, names)
        self.delete(connection, [row.id for row in rows.values()])


class _FoundRow(NamedTuple):
    """A row, with its place if it has one, and its data where that is not too long for it; `length` of it."""

    name: bytes
    data: bytes | None
    id: int
    volume: int | None
    start: int | None
    record_bytes: int | None
    length: int | None

    @property
    def place(self) -> PlacedName | None:
        """A damaged one leads nowhere, where the bytes hash to no name."""
        if self.volume is None:
            return None
        return PlacedName(
            BlockPlace(self.id, self.volume, self.start or 0, self.record_bytes or 0), self.name
        )


def _one(connection: sqlite3.Connection, name: bytes) -> list[_FoundRow]:
    """A third of the cost of looking for several."""
    return [_FoundRow(name, *row) for row in connection.execute(_BODY, (name,)).fetchall()]


def _several(connection: sqlite3.Connection, names: Sequence[bytes]) -> list[_FoundRow]:
    index, joined, lengths = connection.execute(_BODIES, _NAMES.pack([(name,) for name in names])).fetchone()
    rows = zip(json.loads(index), part_blobs(joined, lengths), strict=True)
    return [_FoundRow(names[key], data, *cells) for (key, *cells), data in rows]


def _inline(connection: sqlite3.Connection, row: _FoundRow) -> bytes:
    if row.data is not None and len(row.data) == row.length:
        return row.data
    return statements.large_body(connection, row.id)


def add_extents(connection: sqlite3.Connection, rows: Sequence[int], extents: Sequence[Extent]) -> None:
    """The places of these rows."""
    if rows:
        places = [
            BlockPlace(row, extent.volume, extent.start, extent.bytes)
            for row, extent in zip(rows, extents, strict=True)
        ]
        volume_rows.add_places(connection, places)


def add_found(
    connection: sqlite3.Connection, volume: int, found: Sequence[tuple[int, RecordHead, bytes]]
) -> None:
    """Records that lie in that volume and are in no index: start, head, and the first bytes of the block."""
    for start, head, begin in found:
        query = "INSERT OR IGNORE INTO blocks(mh, size, only_data, data) VALUES(?, ?, ?, ?)"
        row = (head.multihash, head.size, holds_only_data(begin, head.size), head_of(begin))
        added = connection.execute(query, row)
        if added.rowcount:
            place = BlockPlace(added.lastrowid or 0, volume, start, head.bytes)
            volume_rows.add_places(connection, [place])
            totals.add(connection, 1, head.size)


def head_of(body: bytes) -> bytes:
    """What the row of a block keeps of it, where its bytes lie in a volume."""
    return body[:HEAD_BYTES]


def add_rows(connection: sqlite3.Connection, rows: Sequence[tuple[int, bytes, bytes]]) -> None:
    """Row, multihash and bytes of each block; those that are large get their place apart."""
    cells = [
        (
            row,
            name,
            len(body),
            holds_only_data(body, len(body)),
            body if len(body) <= INLINE_BYTES else head_of(body),
        )
        for row, name, body in rows
    ]
    query = "INSERT INTO blocks(id, mh, size, only_data, data) SELECT id, mh, size, only_data, data"
    for start in range(0, len(cells), _ROWS_A_STEP):
        connection.execute(f"{query} FROM {_ROWS.rows}", _ROWS.pack(cells[start : start + _ROWS_A_STEP]))


def _only_data(connection: sqlite3.Connection, row: int, size: int, head: str | None) -> bool:
    """As in `statements`: the bytes themselves say so."""
    if head is None:
        return statements.is_only_data(connection, row)
    return holds_only_data(bytes.fromhex(head), size)
