"""What a crash left is put in order before the store opens: the tails of volumes, and nothing else.

Up to `durable_to` a volume is as the index says. Behind it, after a power failure, records may be missing
that the index knows, and others may be there that it does not know: what hashes to its name is kept.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blockstore.disk.free_space import is_full
from blockstore.errors import StorageFull, StoreCorrupt
from blockstore.sqlite import statements
from blockstore.sqlite.database import SqliteDatabase
from blockstore.volumes import volume_rows
from blockstore.volumes.open_volumes import OpenVolumes
from blockstore.volumes.placed_rows import PlacedRows, add_found, head_of
from blockstore.volumes.record import RecordHead
from blockstore.volumes.record_scan import FoundRecord, sound_records
from blockstore.volumes.volume_head import HEAD_BYTES, VolumeHead, read_volume_head
from blockstore.volumes.volume_rows import KnownVolume, Volume, VolumeState

_log = logging.getLogger(__name__)


class OpeningScan:
    """Works on the writer, before the first read."""

    def __init__(
        self,
        database: SqliteDatabase,
        volumes: OpenVolumes,
        rows: PlacedRows,
        on_read: Callable[[int], None],
    ) -> None:
        """`on_read` hears of bytes that were gone through, from another thread."""
        self._database = database
        self._on_read = on_read
        self._volumes = volumes
        self._rows = rows

    async def run(self, adopted_bytes: int) -> None:
        """An empty index takes so many bytes of volumes that it does not know.

        Raises StoreCorrupt where the index was lost, StoreUnavailable, StorageFull.
        """
        known = await self._database.read(volume_rows.known)
        self._volumes.known = {number: volume.own_id for number, volume in known.items()}
        await self._note_away(known)
        await self._adopt_unknown(known, adopted_bytes)
        doubtful = f"state = {VolumeState.OPEN} OR durable_to < size"
        for volume in await self._database.read(volume_rows.volumes, doubtful):
            if volume.number in self._volumes.folders:
                await self._put_in_order(volume)

    async def _note_away(self, known: Mapping[int, KnownVolume]) -> None:
        away = {number: volume for number, volume in known.items() if number not in self._volumes.folders}
        for number in [number for number, volume in away.items() if not volume.blocks]:
            await self._database.free(volume_rows.forget_volume, number)
            del away[number]
        self._rows.away = set(away)
        if away:
            _log.error(
                "%d volumes with %d blocks are not here, the first of them number %d: these blocks count as "
                "missing until the volumes are back, or the blocks come again",
                len(away),
                sum(volume.blocks for volume in away.values()),
                min(away),
            )

    async def _adopt_unknown(self, known: Mapping[int, KnownVolume], most: int) -> None:
        numbers = self._volumes.folders.numbers() - known.keys()
        found = {number: head for number in sorted(numbers) if (head := self._head(number)) is not None}
        size = sum(self._volumes.folders.path(number).stat().st_size for number in found)
        if not known and size > most and not (await self._database.read(statements.last_id)):
            raise StoreCorrupt(
                f"{self._database.path} knows no block, and {len(found)} volumes lie beside it: the index "
                "was lost; make it again with `pinfold store rebuild`"
            )
        for number, head in found.items():
            await self._put_in_order(Volume(number, head.own_id, VolumeState.SEALED, 0, 0, 0, 0, 0, 0))

    async def _put_in_order(self, volume: Volume) -> None:
        try:
            await self._database.free(self._settle, volume)
        except StoreCorrupt as error:
            _log.error("volume %d is left as it is: %s", volume.number, error)

    def _head(self, number: int) -> VolumeHead | None:
        path = self._volumes.folders.path(number)
        try:
            with path.open("rb") as file:
                head = read_volume_head(file.read(HEAD_BYTES))
        except OSError as error:
            _log.error("%s cannot be read: %s", path, error)
            return None
        if head is None or head.number != number:
            if path.stat().st_size > HEAD_BYTES:
                _log.error("%s is passed over: it is not a volume of that number", path)
            else:
                self._volumes.disk.remove(path)  # a crash came before its head was written
                self._volumes.folders.forget(number)
            return None
        return head

    def _settle(self, connection: sqlite3.Connection, volume: Volume) -> None:
        """Look through the tail; afterwards all of it is on the disk, and as the index says."""
        try:
            with self._volumes.using(volume.number) as file:
                end = os.fstat(file).st_size
                if end == volume.durable_to == volume.size:
                    return
                volume_rows.add_volume(connection, volume.number, volume.own_id, volume.state)
                start = self._intact_to(connection, volume, end)
                last = self._look_through(connection, volume, file, start, end)
                self._end_at(connection, volume, file, last)
        except OSError as error:
            if is_full(error):
                raise StorageFull(f"cannot put volume {volume.number} in order: the disk is full") from error
            _log.error("volume %d cannot be read: %s; its blocks count as missing", volume.number, error)
            self._rows.away.add(volume.number)

    def _intact_to(self, connection: sqlite3.Connection, volume: Volume, end: int) -> int:
        """The byte up to which the volume needs no look: what was durable, unless the file was cut since."""
        if end >= volume.durable_to:
            return max(HEAD_BYTES, volume.durable_to)
        extents = volume_rows.extents_of(connection, volume.number)
        return max([HEAD_BYTES, *(stop for _, stop in extents if stop <= end)])

    def _look_through(
        self, connection: sqlite3.Connection, volume: Volume, file: int, start: int, end: int
    ) -> int:
        """Bring the index in line; the byte behind the last sound record."""
        known = {name.place.start: name for name in volume_rows.places_of(connection, volume.number, start)}
        last = start
        fresh: list[_Fresh] = []
        for record in sound_records(file, start, end):
            last = record.start + record.head.bytes
            self._on_read(record.head.bytes)
            name = known.get(record.start)
            if name is not None and name.multihash == record.head.multihash:
                del known[record.start]
            else:
                fresh.append(_Fresh.of(record))
        self._rows.delete(connection, [name.place.id for name in known.values()])
        add_found(connection, volume.number, [(one.start, one.head, one.begin) for one in fresh])
        if known or fresh:
            _log.warning(
                "volume %d after a crash: %d blocks behind its durable end are not whole, %d are whole again",
                volume.number,
                len(known),
                len(fresh),
            )
        return last

    def _end_at(self, connection: sqlite3.Connection, volume: Volume, file: int, end: int) -> None:
        if os.fstat(file).st_size > end:
            self._volumes.disk.cut(file, end)
        if end < volume.durable_to:
            _log.error(
                "volume %d was cut: it has %d bytes of %d; what lay behind counts as missing",
                volume.number,
                end,
                volume.durable_to,
            )
        self._volumes.disk.sync(file)
        self._volumes.disk.sync_folder(self._volumes.folders.path(volume.number).parent)
        volume_rows.settle(connection, volume.number, end)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A record without its data, of which the first bytes are kept."""

    start: int
    head: RecordHead
    begin: bytes

    @classmethod
    def of(cls, record: FoundRecord) -> _Fresh:
        return cls(record.start, record.head, head_of(record.data))
