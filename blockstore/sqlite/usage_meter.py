"""What a store holds and still takes, measured over its files."""

from __future__ import annotations

from blockstore.errors import StoreCorrupt
from blockstore.sqlite import cached_rows as cache
from blockstore.sqlite.capacity import StoreCapacity
from blockstore.sqlite.database import SqliteDatabase
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

    async def usage(self) -> Usage:
        blocks, used, room = await self._measured(self._database)
        for file in self._rows.files()[1:]:
            more, size, _ = await self._measured(file)
            blocks, used = blocks + more, used + size
            room = min(room, max(0, self.quota - used)) if self.quota else room
        cached = await self._cached()
        return Usage(blocks, used, self.quota, room + cached, await self._spare.damaged(), cached)

    async def _cached(self) -> int:
        try:
            return await self._database.read(cache.total)
        except StoreCorrupt:
            return 0  # as with the other sums

    async def _measured(self, file: SqliteDatabase) -> tuple[int, int, int]:
        try:
            return await file.read(self._capacity.measure)
        except StoreCorrupt:
            return 0, 0, 0  # the page with the sums is gone, and with it the file takes no more
