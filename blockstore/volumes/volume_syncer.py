"""Volumes brought to the disk, and what becomes of one whose sync fails."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence

from blockstore.errors import StoreUnavailable
from blockstore.sqlite import file_pages
from blockstore.sqlite.database import SqliteDatabase
from blockstore.volumes import volume_rows
from blockstore.volumes.open_volumes import OpenVolumes
from blockstore.volumes.volume_appender import VolumeAppender
from blockstore.volumes.volume_rows import Volume

_log = logging.getLogger(__name__)


class VolumeSyncer:
    """Data first, then the index that leads to it; `durable_to` follows, and is never ahead.

    `recheck` reads the blocks of these names from the disk itself, and notes those that are damaged.
    """

    def __init__(
        self,
        database: SqliteDatabase,
        volumes: OpenVolumes,
        appender: VolumeAppender,
        recheck: Callable[[Sequence[bytes]], Awaitable[object]],
    ) -> None:
        self._database = database
        self._volumes = volumes
        self._appender = appender
        self._recheck = recheck
        self._turn = asyncio.Lock()

    async def flush(self) -> None:
        """What was committed before this call survives a power failure. Raises StoreUnavailable."""
        await self.sync_volumes()
        await self.sync_index()

    async def sync_volumes(self) -> None:
        """Of that, what lies in volumes. Raises StoreUnavailable."""
        async with self._turn:
            unsynced = await self._database.read(volume_rows.unsynced)
            synced = await asyncio.to_thread(self._sync, unsynced)
            if synced:
                await self._database.free(volume_rows.set_durable, synced)
            if failed := [volume for volume in unsynced if volume.number not in dict(synced)]:
                await self._quarantine(failed)

    async def sync_index(self) -> None:
        """What was committed to the index before this call survives a power failure."""
        try:
            await asyncio.to_thread(file_pages.sync, self._database.path)
        except OSError as error:
            raise StoreUnavailable(f"cannot sync {self._database.path}: {error.strerror}") from error

    def _sync(self, unsynced: Sequence[Volume]) -> list[tuple[int, int]]:
        """Those that are on the disk now, and up to which byte."""
        synced: list[tuple[int, int]] = []
        for volume in unsynced:
            try:
                with self._volumes.using(volume.number) as file:
                    self._volumes.disk.sync(file)
                if not volume.durable_to:
                    self._volumes.disk.sync_folder(self._volumes.folders.path(volume.number).parent)
            except OSError as error:
                _log.error("volume %d could not be brought to the disk: %s", volume.number, error)
            else:
                synced.append((volume.number, volume.size))
        return synced

    async def _quarantine(self, failed: Sequence[Volume]) -> None:
        """Write to them no more. A second sync would say that all is well: the system has given the pages up.

        Raises StoreUnavailable.
        """
        for volume in failed:
            await self._database.free(self._seal, volume.number)
            await self._recheck(await self._database.read(_names_from, volume.number, volume.durable_to))
            await self._database.free(_end_sync, volume.number)
        numbers = ", ".join(str(volume.number) for volume in failed)
        raise StoreUnavailable(
            f"the disk did not take what was written to volume {numbers}: it takes no more, and what was not "
            "written is missing; look at the disk"
        )

    def _seal(self, connection: sqlite3.Connection, number: int) -> None:
        self._appender.seal(connection, number)
        volume_rows.note_error(connection, number)


def _names_from(connection: sqlite3.Connection, number: int, start: int) -> list[bytes]:
    return [name.multihash for name in volume_rows.places_of(connection, number, start)]


def _end_sync(connection: sqlite3.Connection, number: int) -> None:
    """What is not on the disk is known now."""
    connection.execute("UPDATE volumes SET durable_to = size WHERE number = ?", (number,))
