"""The few calls by which volumes touch a disk: a seam, so that a test can be the disk that fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from blockstore.disk import holes
from blockstore.disk.sync import sync_path

_IOVECS = 1024  # of one call (limits.h: IOV_MAX)


class VolumeDisk(Protocol):
    """All raise OSError. Files are descriptors."""

    def create(self, path: Path) -> int:
        """A new file, opened for reading and writing; its name is not durable yet."""
        ...

    def open(self, path: Path) -> int:
        """For reading and writing, or for reading only where that is all we may."""
        ...

    def append(self, file: int, parts: Sequence[bytes], start: int) -> None:
        """Write all parts one behind the other from `start` on."""
        ...

    def sync(self, file: int) -> None:
        """Data and size of the file reach the disk."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Names that were made and removed there reach the disk."""
        ...

    def cut(self, file: int, size: int) -> None: ...

    def can_punch(self, folder: Path) -> bool:
        """Whether room comes back from the middle of files there."""
        ...

    def punch(self, file: int, start: int, size: int) -> None:
        """Give that range back; it reads as zeros."""
        ...

    def remove(self, path: Path) -> None: ...


class OsDisk:
    """The calls of the operating system."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def append(self, file: int, parts: Sequence[bytes], start: int) -> None:
        for first in range(0, len(parts), _IOVECS):
            group = parts[first : first + _IOVECS]
            size = sum(map(len, group))
            done = os.pwritev(file, group, start)
            while done < size:  # a disk that fills up takes a part, and refuses the next call
                done += os.pwrite(file, b"".join(group)[done:], start + done)
            start += size

    def sync(self, file: int) -> None:
        os.fdatasync(file)

    def sync_folder(self, folder: Path) -> None:
        sync_path(folder)

    def cut(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def can_punch(self, folder: Path) -> bool:
        return holes.can_punch(folder)

    def punch(self, file: int, start: int, size: int) -> None:
        holes.punch(file, start, size)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
