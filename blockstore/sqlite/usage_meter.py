"""What a store holds and still takes, measured over its files."""

from __future__ import annotations

from blockstore.errors import StoreCorrupt
from blockstore.sqlite import cached_rows as cache
from blockstore.sqlite.capacity import Measured, StoreCapacity
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.file_pages import file_size
from blockstore.sqlite.sound_rows import SoundRows
from blockstore.sqlite.spare import Spare
from blockstore.store import Usage


class UsageMeter:
    """Sums that cannot be read count as nothing: with their page is gone what would take more."""

    def __init__(
        self, database: SqliteDatabase, spare: Spare, rows: SoundRows, capacity: StoreCapacity
    ) -> None:
        self._database = database
        self._spare = spare
        self._rows = rows
        self._capacity = capacity
        self.quota = capacity.limits.quota

    async def usage(self, reserved: int = 0) -> Usage:
        """`reserved` bytes are to come, and not free any more."""
        found = await self._measured(self._database)
        held = await self._held(self._database)
        blocks, size, room = found.blocks, found.bytes, found.room
        for file in self._rows.files()[1:]:
            more = await self._measured(file)
            blocks, size, held = blocks + more.blocks, size + more.bytes, held + file_size(file.path)
            room = min(room, max(0, self.quota - size)) if self.quota else room
        cached = await self._cached()
        free = max(0, room + cached - reserved)
        return Usage(blocks, size, self.quota, free, await self._spare.damaged(), cached, held, reserved)

    async def _cached(self) -> int:
        try:
            return await self._database.read(cache.total)
        except StoreCorrupt:
            return 0  # as with the other sums

    async def _measured(self, file: SqliteDatabase) -> Measured:
        try:
            return await file.read(self._capacity.measure)
        except StoreCorrupt:
            return Measured(0, 0, 0, 0)  # the page with the sums is gone, and with it the file takes no more

    async def _held(self, file: SqliteDatabase) -> int:
        try:
            return await file.read(self._capacity.held)
        except StoreCorrupt:
            return file_size(file.path)
