"""Where the lines of a log go: a file that may be moved away (logrotate), or standard output."""

from __future__ import annotations

import os
from pathlib import Path


class LogFile:
    """A file that is appended to; one that was moved or removed is made anew (logrotate)."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._path = path
        self._torn = False
        self._descriptor = self._open()

    def append(self, data: bytes) -> None:
        """Raises OSError; the rest of a line that did not fit is left out."""
        if self._is_elsewhere():
            fresh = self._open()
            os.close(self._descriptor)
            self._descriptor, self._torn = fresh, False
        if self._torn:
            data = b"\n" + data
        self._torn = True
        _write_all(self._descriptor, data)
        self._torn = False

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _is_elsewhere(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


class StandardOutput:
    """The daemon's own, for a collector outside of the node."""

    def append(self, data: bytes) -> None:
        """Raises OSError."""
        _write_all(1, data)

    def close(self) -> None:
        """It stays open."""


def _write_all(descriptor: int, data: bytes) -> None:
    """Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
