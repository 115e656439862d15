"""Blocks moved to the end of the volumes: the new copies are on the disk before the index leads there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from blockstore.sqlite.database import SqliteDatabase
from blockstore.volumes.volume_appender import Extent, VolumeAppender
from blockstore.volumes.volume_syncer import VolumeSyncer


class BlockMover:
    """`turn` is for moving blocks or giving room back: a copy that no place leads to yet is no hole."""

    def __init__(self, database: SqliteDatabase, appender: VolumeAppender, syncer: VolumeSyncer) -> None:
        self.turn = asyncio.Lock()
        self._database = database
        self._appender = appender
        self._syncer = syncer

    async def copy(self, blocks: Sequence[tuple[bytes, bytes]]) -> list[Extent]:
        """Write these (multihash, bytes) durably; the caller has the index lead there, in a turn.

        Raises StorageFull, StoreUnavailable.
        """
        extents = await self._database.write(self._appender.append, blocks)
        await self._syncer.sync_volumes()
        return extents
