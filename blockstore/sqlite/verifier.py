"""Every block read from the disk and hashed, some MiB at a time, in the order in which they came."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from collections.abc import Sequence

from blockstore.cid import CID, RAW
from blockstore.common.grouped import grouped
from blockstore.errors import StoreCorrupt
from blockstore.sqlite import row_checks as checks
from blockstore.sqlite import statements
from blockstore.sqlite.block_rows import BlockRows
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.row_numbers import RowNumbers
from blockstore.sqlite.sound_rows import SoundRows
from blockstore.upkeep import Place, Verified

_STEP_BYTES = 8 * 1024 * 1024
_STEP_BLOCKS = 2048
_FIRST_ROWS = 8

# A place: which file, the last row that was gone through, and the last name in the order of names. That one
# begins where a damaged page ends the order of rows, and goes over all blocks of the file.
_PLACE = struct.Struct(">BQ")


class Verifier:
    """See VerifiedStore."""

    def __init__(self, rows: SoundRows, numbers: RowNumbers) -> None:
        self._rows = rows
        self._numbers = numbers

    async def verify(self, cids: Sequence[CID]) -> Verified:
        names = list({cid.multihash: None for cid in cids if not cid.is_identity})
        sizes = await self._sizes(names)
        found = Verified()
        for group in grouped(((name, sizes.get(name, 0)) for name in names), _STEP_BYTES):
            found = found.joined(await self._verified(group, b""))
        return found

    async def verify_behind(self, place: Place) -> Verified:
        number, last = _PLACE.unpack_from(place) if place else (0, 0)
        name = place[_PLACE.size :]
        files = self._rows.files()
        if number >= len(files):
            return Verified()
        if name:
            return await self._by_name(files[number], number, name)
        try:
            page = await self._page(files[number], last)
        except StoreCorrupt:
            return await self._by_name(files[number], number, b"")
        if not page:
            return await self._next_file(number)
        return await self._verified([name for _, name in page], _PLACE.pack(number, page[-1][0]))

    async def _sizes(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """Bytes of those that can be looked for."""
        found: dict[bytes, int] = {}
        for file in self._rows.files():
            rows, _ = await file.read(checks.rows, self._rows.source_of(file).all_rows, names)
            found |= {name: row.size for name, row in rows.items()}
        return found

    async def _page(self, file: SqliteDatabase, last: int) -> list[tuple[int, bytes]]:
        return await file.read(_rows_behind, self._rows.source_of(file), last, self._numbers.next)

    async def _by_name(self, file: SqliteDatabase, number: int, last: bytes) -> Verified:
        names = (await file.read(statements.keys_after, last))[:_STEP_BLOCKS]
        if not names:
            return await self._next_file(number)
        return await self._verified(names, _PLACE.pack(number, 0) + names[-1])

    async def _next_file(self, number: int) -> Verified:
        return await self.verify_behind(_PLACE.pack(number + 1, 0))

    async def _verified(self, names: Sequence[bytes], place: Place) -> Verified:
        half = (len(names) + 1) // 2  # each reader has a thread
        parts = [part for part in (names[:half], names[half:]) if part]
        first, *others = await asyncio.gather(*map(self._rows.anew, parts))
        found = first.joined(others[0]) if others else first
        damaged = [name for name in names if name in found.damaged and name not in found.bodies]
        refused = [name for name in names if name in found.refused and name not in found.bodies]
        gone = set(names) - found.bodies.keys() - set(damaged) - set(refused)
        return Verified(
            blocks=len(found.bodies),
            bytes=sum(map(len, found.bodies.values())),
            damaged=_cids(damaged),
            unreadable=_cids(refused),
            missing=_cids(sorted(gone)),
            place=place,
        )


def _cids(names: Sequence[bytes]) -> list[CID]:
    return [CID.v1(RAW, name) for name in names]


def _rows_behind(
    connection: sqlite3.Connection, source: BlockRows, last: int, end: int
) -> list[tuple[int, bytes]]:
    """Rows and names behind the last one, of some MiB: few at first, for a large block costs a page."""
    found: list[tuple[int, bytes]] = []
    size = 0
    while size < _STEP_BYTES and len(found) < _STEP_BLOCKS:
        page = statements.ids_between(connection, last, end, len(found) + _FIRST_ROWS)
        if not page:
            break
        found, last = found + page, page[-1][0]
        size += sum(size for _, size in source.sizes(connection, [row for row, _ in page]))
    return found
