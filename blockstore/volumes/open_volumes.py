"""Volume files that are open: a bounded number, shared by all threads."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from blockstore.volumes.volume_disk import VolumeDisk
from blockstore.volumes.volume_folders import VolumeFolders
from blockstore.volumes.volume_head import HEAD_BYTES, VolumeHead, read_volume_head

_OPEN = 128  # files that stay open unused


@dataclass(slots=True)
class _OpenFile:
    file: int
    users: int = 0
    closing: bool = False


class VolumeAway(OSError):
    """A volume that is not here, or another file that has its name."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


class OpenVolumes:
    """`known`: the own ids of the volumes that the index knows, by number."""

    def __init__(self, folders: VolumeFolders, disk: VolumeDisk) -> None:
        self.folders = folders
        self.disk = disk
        self.known: dict[int, bytes] = {}
        self._files: OrderedDict[int, _OpenFile] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def using(self, number: int) -> Generator[int]:
        """Its descriptor, for the length of the block. Raises OSError, VolumeAway."""
        held = self._acquire(number)
        try:
            yield held.file
        finally:
            self._release(held)

    def add(self, head: VolumeHead, path: Path, file: int) -> None:
        """One that was just made, and is open."""
        self.folders.add(head.number, path)
        self.known[head.number] = head.own_id
        with self._lock:
            self._files[head.number] = _OpenFile(file)

    def forget(self, number: int) -> None:
        """Close it, once no thread uses it."""
        with self._lock:
            if (held := self._files.pop(number, None)) is not None:
                self._close(held)

    def close(self) -> None:
        for number in list(self._files):
            self.forget(number)

    def _acquire(self, number: int) -> _OpenFile:
        with self._lock:
            held = self._files.get(number)
            if held is None:
                held = self._files[number] = _OpenFile(self._open(number))
                self._make_room()
            self._files.move_to_end(number)
            held.users += 1
            return held

    def _release(self, held: _OpenFile) -> None:
        with self._lock:
            held.users -= 1
            if held.closing and not held.users:
                os.close(held.file)

    def _open(self, number: int) -> int:
        try:
            path = self.folders.path(number)
            file = self.disk.open(path)
        except FileNotFoundError as error:
            raise VolumeAway(number, str(error)) from error
        head = read_volume_head(os.pread(file, HEAD_BYTES, 0))
        own_id = self.known.get(number)
        if head is not None and (head.number != number or own_id not in (None, head.own_id)):
            os.close(file)
            raise VolumeAway(number, f"{path} is not the volume that lay there before")
        return file  # with a damaged head too: each block is checked by its hash

    def _make_room(self) -> None:
        for number in list(self._files)[: max(0, len(self._files) - _OPEN)]:
            if not self._files[number].users:
                self._close(self._files.pop(number))

    def _close(self, held: _OpenFile) -> None:
        if held.users:
            held.closing = True
        else:
            os.close(held.file)
