"""Records appended to the volume that is open, and a new one begun where that is full."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blockstore.disk.free_space import disk_free, is_full
from blockstore.errors import StorageFull, StoreUnavailable
from blockstore.volumes import volume_rows
from blockstore.volumes.open_volumes import OpenVolumes
from blockstore.volumes.record import pack_head
from blockstore.volumes.volume_head import HEAD_BYTES, VolumeHead
from blockstore.volumes.volume_rows import VolumeState

VOLUME_BYTES = 256 * 1024 * 1024
"""From which on a volume is full: small enough to be copied when half of it is dead."""

SYNCED_AFTER = 64 * 1024 * 1024
"""Bytes that are written before they are synced unasked: no sync, no look after a crash has more to do."""

_KEPT_FREE = 64 * 1024 * 1024  # bytes of a disk below which another one is taken


@dataclass(slots=True)
class _Current:
    number: int
    end: int


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a record was written."""

    volume: int
    start: int
    bytes: int


class VolumeAppender:
    """On the thread of the writer alone, inside its transaction: so no other thread allocates.

    What was written for a transaction that did not commit is cut off before the next record.
    """

    def __init__(self, open_volumes: OpenVolumes, volume_bytes: int = VOLUME_BYTES) -> None:
        self._open = open_volumes
        self.volume_bytes = volume_bytes
        self.on_much_written: Callable[[], None] = lambda: None
        """Called on the writer's thread after each SYNCED_AFTER bytes."""
        self._written = 0
        self._current: _Current | None = None
        self._made: set[int] = set()  # volumes since the last time that all of them were known to be entered

    def append(self, connection: sqlite3.Connection, blocks: Sequence[tuple[bytes, bytes]]) -> list[Extent]:
        """Write these (multihash, bytes); nothing is synced. Raises StorageFull, StoreUnavailable."""
        extents: list[Extent] = []
        try:
            while len(extents) < len(blocks):
                extents += self._append(connection, blocks[len(extents) :])
        except OSError as error:
            self.rewind()
            if isinstance(error, StorageFull) or not is_full(error):
                raise StoreUnavailable(f"cannot write blocks: {error}") from error
            raise StorageFull(f"cannot write blocks: the disk is full ({error}); free some space") from error
        return extents

    def seal(self, connection: sqlite3.Connection, number: int) -> None:
        """It takes no more records: what follows goes to another one."""
        self.rewind()
        volume_rows.set_state(connection, number, VolumeState.SEALED)

    def rewind(self) -> None:
        """The transaction does not commit: what it wrote counts for nothing."""
        self._current = None

    def _append(self, connection: sqlite3.Connection, blocks: Sequence[tuple[bytes, bytes]]) -> list[Extent]:
        """As many as go into one volume, at least one."""
        current = self._current or self._resume(connection)
        if current is not None and self._is_full(current, sum(len(body) for _, body in blocks)):
            volume_rows.set_state(connection, current.number, VolumeState.SEALED)
            current = None
        current = self._current = current or self._begin(connection)
        parts: list[bytes] = []
        extents: list[Extent] = []
        end = current.end
        for multihash, body in blocks:
            if end >= self.volume_bytes:
                break
            head = pack_head(multihash, len(body))
            parts += (head, body)
            extents.append(Extent(current.number, end, len(head) + len(body)))
            end += len(head) + len(body)
        with self._open.using(current.number) as file:
            self._open.disk.append(file, parts, current.end)
        self._count(end - current.end)
        current.end = end
        volume_rows.set_size(connection, current.number, end)
        if end >= self.volume_bytes:
            volume_rows.set_state(connection, current.number, VolumeState.SEALED)
            self._current = None
        return extents

    def _count(self, size: int) -> None:
        self._written += size
        if self._written >= SYNCED_AFTER:
            self._written = 0
            self.on_much_written()

    def _is_full(self, current: _Current, size: int) -> bool:
        """Whether its disk is nearly, while another one has much more room."""
        folders = self._open.folders
        if len(folders.folders) == 1:
            return False
        free = disk_free(folders.path(current.number).parent)
        return free < size + _KEPT_FREE and disk_free(folders.new(current.number).parent) > 2 * free

    def _resume(self, connection: sqlite3.Connection) -> _Current | None:
        self._remove_undone(connection)
        volume = volume_rows.open_volume(connection)
        if volume is None or volume.number not in self._open.folders:
            return None
        with self._open.using(volume.number) as file:
            if os.fstat(file).st_size > volume.size:
                self._open.disk.cut(file, volume.size)
        return _Current(volume.number, volume.size)

    def _remove_undone(self, connection: sqlite3.Connection) -> None:
        """Volumes that were made for a transaction that did not commit."""
        entered = {volume.number for volume in volume_rows.volumes(connection)}
        for number in self._made.intersection(self._open.folders.numbers()) - entered:
            path = self._open.folders.path(number)
            self._open.forget(number)
            self._open.folders.forget(number)
            self._open.disk.remove(path)
        self._made = set()

    def _begin(self, connection: sqlite3.Connection) -> _Current:
        folders = self._open.folders
        number = 1 + max(volume_rows.last_volume(connection), max(folders.numbers(), default=0))
        path = folders.new(number)
        head = VolumeHead(number, os.urandom(16))
        self._create(number, path, head)
        volume_rows.add_volume(connection, number, head.own_id, VolumeState.OPEN)
        return _Current(number, HEAD_BYTES)

    def _create(self, number: int, path: Path, head: VolumeHead) -> None:
        disk = self._open.disk
        file = disk.create(path)
        try:
            disk.append(file, [head.pack()], 0)
        except OSError:
            os.close(file)
            disk.remove(path)
            raise
        self._open.add(head, path, file)
        self._made.add(number)
