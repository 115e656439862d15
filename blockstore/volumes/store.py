"""VolumeBlockstore: large blocks in volumes, small ones and the places of all in one SQLite file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from blockstore.errors import BlockstoreError
from blockstore.sqlite.capacity import StoreCapacity
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.row_numbers import RowNumbers
from blockstore.sqlite.spare import Spare
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.upkeep import Moving
from blockstore.volumes.block_mover import BlockMover
from blockstore.volumes.migration import InlineMigration
from blockstore.volumes.space import VolumeSpace
from blockstore.volumes.volume_parts import VolumeParts
from blockstore.volumes.volume_syncer import VolumeSyncer

_log = logging.getLogger(__name__)


class VolumeBlockstore(SqliteBlockstore):
    """The same store, but for where the bytes of large blocks lie (`placed_rows.py`)."""

    def __init__(
        self,
        database: SqliteDatabase,
        spare: Spare,
        capacity: StoreCapacity,
        numbers: RowNumbers,
        parts: VolumeParts,
    ) -> None:
        super().__init__(database, spare, capacity, numbers, parts.rows)
        self._syncer = VolumeSyncer(database, parts.volumes, parts.appender, self._rows.anew)
        mover = BlockMover(database, parts.appender, self._syncer)
        self._space = VolumeSpace(database, parts, self._syncer, mover)
        self.migration = InlineMigration(database, mover)
        self._much_put = asyncio.Event()
        parts.appender.on_much_written = _setting(self._much_put)
        parts.rows.on_away = _setting(spare.found)
        if parts.rows.away:  # pins that need them have to be looked through
            spare.found.set()

    def __repr__(self) -> str:
        return f"<VolumeBlockstore {self._database.path}>"

    async def flush(self) -> None:
        """See `Blockstore.flush`. The index is never ahead of the volumes that it leads to."""
        await self._syncer.sync_volumes()
        await super().flush()

    async def settle(self) -> None:
        """Have the next start find nothing to look through, as far as the disk lets us."""
        try:
            await self._syncer.flush()
        except BlockstoreError as error:
            _log.error("%s", error)

    async def reclaim(self, pages: int = 100) -> int:
        """As that of the SQLite store, the volumes first: more than 0 as long as something may be left."""
        if await self._space.give_back():
            return max(1, await super().reclaim(pages))
        return await super().reclaim(pages)

    async def sync_now_and_then(self) -> None:
        """Bring to the disk what was put, each time that it is much; until cancelled."""
        while True:
            await self._much_put.wait()
            self._much_put.clear()
            try:
                await self._syncer.flush()
            except BlockstoreError as error:
                _log.error("blocks could not be brought to the disk: %s", error)

    async def moving(self) -> Moving | None:
        progress = await self.migration.progress()
        return None if progress.done else Moving(progress.moved, progress.left)

    async def migrate(self) -> None:
        """Move what an earlier release put into rows; returns when all is moved."""
        await self.migration.run(lambda: super(VolumeBlockstore, self).reclaim(1024))


def _setting(event: asyncio.Event) -> Callable[[], None]:
    """Sets it from any thread."""
    loop = asyncio.get_running_loop()

    def set_it() -> None:
        loop.call_soon_threadsafe(event.set)

    return set_it
