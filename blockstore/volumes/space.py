"""Room given back to the disk: dead volumes removed, holes punched, volumes that are largely dead copied."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from blockstore.common.grouped import grouped
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.row_checks import is_sound
from blockstore.volumes import volume_rows
from blockstore.volumes.block_mover import BlockMover
from blockstore.volumes.body_reader import read_bodies
from blockstore.volumes.volume_disk import VolumeDisk
from blockstore.volumes.volume_folders import VolumeFolders
from blockstore.volumes.volume_head import HEAD_BYTES
from blockstore.volumes.volume_parts import VolumeParts
from blockstore.volumes.volume_rows import BlockPlace, PlacedName, Volume, VolumeState
from blockstore.volumes.volume_syncer import VolumeSyncer

HOLE_BYTES = 128 * 1024
"""A hole smaller than this stays: many small ones fragment the file."""

_ALIVE = 0.6  # share of what a volume takes on the disk, below which it is copied
_FS_BLOCK = 4096
_COPIED = 8 * 1024 * 1024  # bytes that are copied in one step

_log = logging.getLogger(__name__)


class VolumeSpace:
    """What no place leads to goes, once that is durable and no reader is left."""

    def __init__(
        self, database: SqliteDatabase, parts: VolumeParts, syncer: VolumeSyncer, mover: BlockMover
    ) -> None:
        self._database = database
        self._volumes = parts.volumes
        self._generations = parts.generations
        self._hole_bytes = parts.hole_bytes
        self._appender = parts.appender
        self._least_copied = parts.appender.volume_bytes // 8
        self._syncer = syncer
        self._mover = mover
        self._punchable = _probe(parts.volumes.folders, parts.volumes.disk)

    async def give_back(self) -> bool:
        """One step of it; whether something may be left. Raises StorageFull, StoreUnavailable."""
        async with self._mover.turn:
            freed = await self._database.read(volume_rows.volumes, "freed > 0")
            if not freed:
                return await self._copy_next()
            await self._syncer.sync_index()
            await asyncio.to_thread(self._generations.wait)
            for volume in freed:
                if volume.state is VolumeState.SEALED and not volume.blocks:
                    await self._remove(volume)
                else:
                    await self._punch(volume)
            return True

    async def _remove(self, volume: Volume) -> None:
        await asyncio.to_thread(self._unlink, volume.number)
        await self._database.free(volume_rows.forget_volume, volume.number)

    def _unlink(self, number: int) -> None:
        try:
            path = self._volumes.folders.path(number)
        except FileNotFoundError:
            return  # its disk is away
        self._volumes.forget(number)
        self._volumes.disk.remove(path)
        self._volumes.folders.forget(number)

    async def _punch(self, volume: Volume) -> None:
        extents = await self._database.read(volume_rows.extents_of, volume.number)
        await asyncio.to_thread(self._punch_holes, volume, extents)
        await self._database.free(volume_rows.given_back, volume.number, volume.freed)

    def _punch_holes(self, volume: Volume, extents: Sequence[tuple[int, int]]) -> None:
        try:
            if not self._punchable.get(self._volumes.folders.path(volume.number).parent):
                return
            with self._volumes.using(volume.number) as file:
                for start, size in holes_between(extents, volume.size, self._hole_bytes):
                    self._volumes.disk.punch(file, start, size)
        except OSError as error:
            _log.warning("room in volume %d could not be given back: %s", volume.number, error)

    async def _copy_next(self) -> bool:
        """Copy some of the volume that is worth it; whether there was one."""
        where = f"errors = 0 AND live < {_ALIVE} * size AND size > {self._least_copied}"
        for volume in await self._database.read(volume_rows.volumes, where):
            if volume.live < _ALIVE * await asyncio.to_thread(self._held, volume.number):
                await self._empty(volume)
                return True
        return False

    async def _empty(self, volume: Volume) -> None:
        """Copy what is alive in it, or a part where there is little room; without such it is removed."""
        await self._database.free(self._appender.seal, volume.number)
        copied = False
        while await self._copy_some(volume):
            copied = True
            if not self._has_room(volume):
                return
        if not copied and not await self._database.read(volume_rows.extents_of, volume.number):
            await self._syncer.sync_index()
            await asyncio.to_thread(self._generations.wait)
            await self._remove(volume)

    def _has_room(self, volume: Volume) -> bool:
        """Whether its copies fit beside it; else each part of it is given back before the next is copied."""
        return self._volumes.folders.free() > 2 * volume.live

    def _held(self, number: int) -> int:
        """Bytes that the volume takes on the disk; 0 where it cannot be used."""
        try:
            with self._volumes.using(number) as file:
                return os.fstat(file).st_blocks * 512
        except OSError:
            return 0

    async def _copy_some(self, volume: Volume) -> bool:
        """Whether there was something left to copy."""
        alive = await self._database.read(volume_rows.places_of, volume.number, 0, 4096)
        names = next(grouped(((name, name.place.bytes) for name in alive), _COPIED), None)
        if names is None:
            return False
        if not (blocks := await asyncio.to_thread(self._sound, volume, names)):
            await self._database.free(volume_rows.note_error, volume.number)  # it stays as it is
            return False
        extents = await self._mover.copy(blocks)
        moved = [
            (name.place, BlockPlace(name.place.id, extent.volume, extent.start, extent.bytes))
            for name, extent in zip(names, extents, strict=True)
        ]
        await self._database.free(volume_rows.move_places, moved)
        return True

    def _sound(self, volume: Volume, names: Sequence[PlacedName]) -> list[tuple[bytes, bytes]]:
        """The blocks; none where one of them is not what it was."""
        try:
            bodies = read_bodies(self._volumes, names)
        except OSError as error:
            _log.error("volume %d cannot be read: %s", volume.number, error)
            return []
        if not all(is_sound(name.multihash, bodies[name.multihash]) for name in names):
            return []
        return [(name.multihash, bodies[name.multihash]) for name in names]


def holes_between(extents: Sequence[tuple[int, int]], size: int, least: int) -> Generator[tuple[int, int]]:
    """Start and bytes of what no extent needs, in whole blocks of the file system, `least` bytes or more."""
    last = HEAD_BYTES
    for start, end in [*extents, (size, size)]:
        first = -(-last // _FS_BLOCK) * _FS_BLOCK
        room = start // _FS_BLOCK * _FS_BLOCK - first
        if room >= least:
            yield first, room
        last = max(last, end)


def _probe(folders: VolumeFolders, disk: VolumeDisk) -> Mapping[Path, bool]:
    found: dict[Path, bool] = {}
    for folder in folders.folders:
        try:
            found[folder.path] = disk.can_punch(folder.path)
        except OSError as error:
            _log.warning("%s takes no file at present: %s", folder.path, error)
            found[folder.path] = False
            continue
        if not found[folder.path]:
            _log.warning(
                "the file system of %s gives no room back from the middle of a file: volumes are copied "
                "when two fifths of them are not needed",
                folder.path,
            )
    return found
