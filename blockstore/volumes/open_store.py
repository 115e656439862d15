"""The block store in volumes, opened: what a crash left is put in order, what waits is worked off beside."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.common.tasks import background
from blockstore.disk.folder_lock import hold_lock
from blockstore.errors import StoreCorrupt, StoreUnavailable
from blockstore.sqlite.capacity import CACHE_SHARE, CapacityLimits, StoreCapacity
from blockstore.sqlite.database import Ballast, SqliteDatabase
from blockstore.sqlite.file_pages import STANDARD, FileTuning
from blockstore.sqlite.open_store import SCHEMA, begin_sums, last_use, next_numbers, open_rows, open_spare
from blockstore.volumes import migration, volume_rows
from blockstore.volumes.opening_scan import OpeningScan
from blockstore.volumes.space import HOLE_BYTES
from blockstore.volumes.store import VolumeBlockstore
from blockstore.volumes.volume_appender import VOLUME_BYTES
from blockstore.volumes.volume_disk import OsDisk, VolumeDisk
from blockstore.volumes.volume_folders import VolumeFolders, open_folders
from blockstore.volumes.volume_parts import volume_parts

REMEDY = "restore it from a backup, or make it again from the volumes with `pinfold store rebuild`"

FOLDER = "volumes"
"""Beside the SQLite file."""


_log = logging.getLogger(__name__)

_SCHEMA = SCHEMA + volume_rows.SCHEMA + migration.SCHEMA


@dataclass(frozen=True, slots=True)
class VolumeOptions:
    """`folders`: more of them, one a disk; `disk` is what files are written by.

    `sync_early`: what was written is synced now and then, though no acknowledgement waits for it.

    An empty index takes up to `adopted_bytes` of volumes that it does not know; with more the index was lost,
    and is made again by a command. `on_read` hears of bytes that are gone through for that.
    """

    folders: Sequence[Path] = ()
    volume_bytes: int = VOLUME_BYTES
    hole_bytes: int = HOLE_BYTES
    sync_early: bool = True
    adopted_bytes: int = 1024 * 1024 * 1024
    on_read: Callable[[int], None] = lambda _: None
    disk: VolumeDisk = OsDisk()  # noqa: RUF009  it holds nothing


@asynccontextmanager
async def open_volume_blockstore(
    path: Path,
    *,
    quota: int = 0,
    reserve: int = 0,
    cache_share: float = CACHE_SHARE,
    ballast: Ballast | None = None,
    tuning: FileTuning = STANDARD,
    options: VolumeOptions = VolumeOptions(),
) -> AsyncIterator[VolumeBlockstore]:
    """Open or create the store of that SQLite file, with the volumes beside it.

    The file may be one of `open_sqlite_blockstore`: its large blocks are moved meanwhile. For the other
    arguments see there. Raises StoreCorrupt, StoreUnavailable, StorageFull.
    """
    async with AsyncExitStack() as stack:
        spare = await open_spare(path, stack)
        folders = _folders(path, options)
        for folder in folders.folders[1:]:
            stack.enter_context(hold_lock(folder.path / "lock"))
        parts = volume_parts(folders, options.disk, options.volume_bytes, options.hole_bytes)
        stack.callback(parts.volumes.close)
        tuning = tuning.within(quota)
        database = await stack.enter_async_context(
            open_rows(path, _SCHEMA, REMEDY, tuning, ballast, parts.appender.rewind)
        )
        await begin_sums(database, parts.rows)
        await _begin_moving(database)
        await OpeningScan(database, parts.volumes, parts.rows, options.on_read).run(options.adopted_bytes)
        await spare.recheck(database, parts.rows)
        limits = CapacityLimits(quota, reserve, cache_share)
        capacity = StoreCapacity(path, limits, await last_use(database), parts.rows, folders.free)
        store = VolumeBlockstore(database, spare, capacity, await next_numbers(database, spare), parts)
        stack.push_async_callback(store.settle)
        early = [store.sync_now_and_then()] if options.sync_early else []
        await stack.enter_async_context(background(*early, store.migrate()))
        yield store


async def _begin_moving(database: SqliteDatabase) -> None:
    try:
        await database.free(migration.begin)
    except StoreCorrupt as error:
        _log.error("%s", error)


def _folders(path: Path, options: VolumeOptions) -> VolumeFolders:
    try:
        return open_folders(path.parent / FOLDER, options.folders)
    except OSError as error:
        raise StoreUnavailable(f"cannot use {path.parent / FOLDER}: {error.strerror}") from error
