"""The statements about volumes and about the places of blocks in them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from blockstore.common.packed_rows import RowLayout, one_row
from blockstore.volumes.record import FIXED_BYTES

# `size` is where the next record goes; up to `durable_to` all was synced. `live` are the bytes of records
# that a place leads to, `blocks` their number, `freed` the bytes of others that were not given back yet.
SCHEMA = """
CREATE TABLE IF NOT EXISTS volumes(
    number INTEGER PRIMARY KEY, own_id BLOB NOT NULL, state INTEGER NOT NULL, size INTEGER NOT NULL,
    durable_to INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0,
    freed INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS places(
    id INTEGER PRIMARY KEY, volume INTEGER NOT NULL, start INTEGER NOT NULL, bytes INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS places_by_volume ON places(volume, start);
CREATE TRIGGER IF NOT EXISTS place_came AFTER INSERT ON places BEGIN
    UPDATE volumes SET live = live + new.bytes, blocks = blocks + 1 WHERE number = new.volume;
END;
CREATE TRIGGER IF NOT EXISTS place_went AFTER DELETE ON places BEGIN
    UPDATE volumes SET live = live - old.bytes, blocks = blocks - 1, freed = freed + old.bytes
        WHERE number = old.volume;
END;
CREATE TRIGGER IF NOT EXISTS place_moved AFTER UPDATE ON places BEGIN
    UPDATE volumes SET live = live - old.bytes, blocks = blocks - 1, freed = freed + old.bytes
        WHERE number = old.volume;
    UPDATE volumes SET live = live + new.bytes, blocks = blocks + 1 WHERE number = new.volume;
END;
CREATE TRIGGER IF NOT EXISTS placed_block_went AFTER DELETE ON blocks BEGIN
    DELETE FROM places WHERE id = old.id;
END;
"""

_PLACES = RowLayout(id=int, volume=int, start=int, bytes=int)
_MOVED = RowLayout(id=int, old_volume=int, old_start=int, volume=int, start=int, bytes=int)
_SYNCED = RowLayout(number=int, size=int)
_COLUMNS = "number, own_id, state, size, durable_to, live, blocks, freed, errors"


class VolumeState(IntEnum):
    """OPEN takes more records, SEALED does not."""

    OPEN = 0
    SEALED = 1


@dataclass(frozen=True, slots=True)
class Volume:
    """See the schema."""

    number: int
    own_id: bytes
    state: VolumeState
    size: int
    durable_to: int
    live: int
    blocks: int
    freed: int
    errors: int


class KnownVolume(NamedTuple):
    """What is to be known of each volume; a million blocks are some thousand."""

    own_id: bytes
    blocks: int


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where the record of the block in row `id` lies."""

    id: int
    volume: int
    start: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PlacedName:
    """A place with the multihash of its block."""

    place: BlockPlace
    multihash: bytes

    @property
    def head_bytes(self) -> int:
        """Of the record, before the block."""
        return FIXED_BYTES + len(self.multihash)


def volumes(connection: sqlite3.Connection, where: str = "1") -> list[Volume]:
    """`where` is SQL of ours."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM volumes WHERE {where} ORDER BY number").fetchall()
    return [Volume(row[0], row[1], VolumeState(row[2]), *row[3:]) for row in rows]


def known(connection: sqlite3.Connection) -> dict[int, KnownVolume]:
    """All of them. In as many steps, for it is asked while nothing else runs yet."""
    rows = connection.execute("SELECT number, own_id, blocks FROM volumes").fetchall()
    return {number: KnownVolume(own_id, blocks) for number, own_id, blocks in rows}


def open_volume(connection: sqlite3.Connection) -> Volume | None:
    """The one that takes records; None where the next one is to be made."""
    found = volumes(connection, f"state = {VolumeState.OPEN}")
    return found[-1] if found else None


def unsynced(connection: sqlite3.Connection) -> list[Volume]:
    return volumes(connection, "durable_to < size")


def add_volume(connection: sqlite3.Connection, number: int, own_id: bytes, state: VolumeState) -> None:
    """As one that holds nothing, unless it is known."""
    query = "INSERT OR IGNORE INTO volumes(number, own_id, state, size, durable_to) VALUES(?, ?, ?, 0, 0)"
    connection.execute(query, (number, own_id, state))


def set_state(connection: sqlite3.Connection, number: int, state: VolumeState) -> None:
    connection.execute("UPDATE volumes SET state = ? WHERE number = ?", (state, number))


def set_size(connection: sqlite3.Connection, number: int, size: int) -> None:
    connection.execute("UPDATE volumes SET size = ? WHERE number = ?", (size, number))


def set_durable(connection: sqlite3.Connection, synced: Sequence[tuple[int, int]]) -> None:
    """Volumes by number, each synced up to that size at least."""
    connection.execute(
        "UPDATE volumes SET durable_to = max(durable_to, synced.size) FROM"
        f" {_SYNCED.rows} AS synced WHERE volumes.number = synced.number",
        _SYNCED.pack(synced),
    )


def settle(connection: sqlite3.Connection, number: int, size: int) -> None:
    """The volume ends there, all of it is on the disk, and what no place leads to may be given back."""
    connection.execute(
        "UPDATE volumes SET size = ?2, durable_to = ?2, freed = max(freed, ?2 - live) WHERE number = ?1",
        (number, size),
    )


def move_places(connection: sqlite3.Connection, moved: Sequence[tuple[BlockPlace, BlockPlace]]) -> None:
    """From the one to the other, as far as they still are where they were."""
    rows = [(old.id, old.volume, old.start, new.volume, new.start, new.bytes) for old, new in moved]
    connection.execute(
        "UPDATE places SET volume = moved.volume, start = moved.start, bytes = moved.bytes FROM"
        f" {_MOVED.rows} AS moved WHERE places.id = moved.id AND places.volume = moved.old_volume"
        " AND places.start = moved.old_start",
        _MOVED.pack(rows),
    )


def forget_volume(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM volumes WHERE number = ?", (number,))


def last_volume(connection: sqlite3.Connection) -> int:
    row: int = connection.execute("SELECT coalesce(max(number), 0) FROM volumes").fetchone()[0]
    return row


def add_places(connection: sqlite3.Connection, places: Sequence[BlockPlace]) -> None:
    connection.execute(
        f"INSERT INTO places SELECT id, volume, start, bytes FROM {_PLACES.rows}",
        _PLACES.pack((place.id, place.volume, place.start, place.bytes) for place in places),
    )


def places(connection: sqlite3.Connection, ids: Sequence[int]) -> list[BlockPlace]:
    """Of those rows that have one."""
    query = (
        f"SELECT {one_row('p.id', 'p.volume', 'p.start', 'p.bytes')} FROM json_each(?) AS wanted"
        " CROSS JOIN places AS p ON p.id = wanted.value"
    )
    (text,) = connection.execute(query, (json.dumps(ids),)).fetchone()
    return [BlockPlace(*row) for row in json.loads(text)]


def places_of(
    connection: sqlite3.Connection, volume: int, start: int = 0, limit: int = 2**31
) -> list[PlacedName]:
    """In order of their places, from `start` on; those whose block is there."""
    columns = one_row("p.id", "p.start", "p.bytes", "hex(b.mh)")
    query = (
        f"SELECT {columns} FROM (SELECT id, start, bytes FROM places WHERE volume = ? AND start >= ?"
        " ORDER BY start LIMIT ?) AS p JOIN blocks AS b ON b.id = p.id"
    )
    found = json.loads(connection.execute(query, (volume, start, limit)).fetchone()[0])
    names = [PlacedName(BlockPlace(row[0], volume, row[1], row[2]), bytes.fromhex(row[3])) for row in found]
    return sorted(names, key=lambda name: name.place.start)


def extents_of(connection: sqlite3.Connection, volume: int) -> list[tuple[int, int]]:
    """Start and end of all records that a place leads to, in order."""
    query = f"SELECT {one_row('start', 'start + bytes')} FROM places WHERE volume = ?"
    return sorted(
        (start, end) for start, end in json.loads(connection.execute(query, (volume,)).fetchone()[0])
    )


def given_back(connection: sqlite3.Connection, volume: int, freed: int) -> None:
    """So many of its freed bytes were looked at."""
    connection.execute("UPDATE volumes SET freed = max(0, freed - ?) WHERE number = ?", (freed, volume))


def note_error(connection: sqlite3.Connection, volume: int) -> None:
    connection.execute("UPDATE volumes SET errors = errors + 1 WHERE number = ?", (volume,))


def freed_bytes(connection: sqlite3.Connection) -> int:
    """Of all records that no place leads to any more, as far as they were not given back to the disk."""
    size: int = connection.execute("SELECT coalesce(sum(freed), 0) FROM volumes").fetchone()[0]
    return size


def live_bytes(connection: sqlite3.Connection) -> int:
    """Of all records that a place leads to."""
    size: int = connection.execute("SELECT coalesce(sum(live), 0) FROM volumes").fetchone()[0]
    return size


DATA_BYTES = f"(p.bytes - {FIXED_BYTES} - length(b.mh))"
"""Of the block whose row is b and whose place is p."""
