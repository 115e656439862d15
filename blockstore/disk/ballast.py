"""Ballast: a file that keeps some of the disk for what must be written when there is none left.

Removing needs writing: a database that cannot write its log can neither unpin nor collect garbage, so a full
disk would stay full. The file is made when there is plenty of room, and given up when a write that matters
finds none.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock

from blockstore.common.tasks import background
from blockstore.disk.free_space import disk_free, is_full

_log = logging.getLogger(__name__)

MOST = 16 * 1024 * 1024
_OF_THE_DISK = 1 / 16
_LOW = 2 * 1024 * 1024  # bytes free below which opening the databases may fail
_INTERVAL = 60.0  # seconds between looks whether the file can be made again
_STEP = 1024 * 1024  # bytes that are given up at once, at least: who fills the disk would take more of them
_ZEROS = bytes(1024 * 1024)


class BallastFile:
    """The file at `path`; its size is what it keeps. Satisfies `blockstore.sqlite.database.Ballast`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        disk = os.statvfs(path.parent)
        self._size = min(MOST, int(disk.f_blocks * disk.f_frsize * _OF_THE_DISK))

    def __repr__(self) -> str:
        return f"<BallastFile {self._path}>"

    def give_up(self) -> bool:
        """See `Ballast.give_up`. Another thread may call it at any time."""
        with self._lock:
            kept = self._kept()
            if kept:
                left = max(0, kept - max(_STEP, self._size // 8))
                os.truncate(self._path, left)
                _log.warning(
                    "the disk is full: %d KiB of ballast are left for removing pins and collecting "
                    "garbage; free some space",
                    left >> 10,
                )
            return kept > 0

    def make(self) -> None:
        """Take the room, where at least as much again is left beside it."""
        with self._lock:
            if self._kept() < self._size and disk_free(self._path.parent) > 2 * self._size:
                self._write()

    def _kept(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _write(self) -> None:
        """Zeros, written: a hole keeps no room, and not every file system can allocate."""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            while os.fstat(file).st_size < self._size:
                os.write(file, _ZEROS[: self._size - os.fstat(file).st_size])
            os.fsync(file)
        except OSError as error:
            os.ftruncate(file, 0)
            if not is_full(error):
                raise
        finally:
            os.close(file)


@asynccontextmanager
async def open_ballast(path: Path) -> AsyncIterator[BallastFile]:
    """Keep ballast at that path for the length of the block, and make it again whenever it can be.

    Where the disk is full now, it is given up at once: opening a database writes too.
    """
    ballast = BallastFile(path)
    while disk_free(path.parent) < _LOW and ballast.give_up():
        pass
    async with background(_keep(ballast)):
        yield ballast


async def _keep(ballast: BallastFile) -> None:
    logged = ""
    while True:
        trouble = ""
        try:
            await asyncio.to_thread(ballast.make)
        except OSError as error:  # the folder was moved, or is not ours any more: all else may still go well
            trouble = str(error)
        if trouble and trouble != logged:
            _log.warning("no ballast can be kept for a full disk: %s", trouble)
        logged = trouble
        await asyncio.sleep(_INTERVAL)
