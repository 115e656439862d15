"""Holes in files: room given back to the disk from the middle of a file, where the file system can."""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
from functools import cache
from pathlib import Path

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02  # linux/falloc.h
_PROBE_BYTES = 256 * 1024


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return libc


def punch(file: int, start: int, size: int) -> None:
    """Give the whole file system blocks of that range back; it reads as zeros. Raises OSError."""
    try:
        fallocate = _libc().fallocate
    except AttributeError:  # not Linux
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from None
    if fallocate(file, _PUNCH_HOLE | _KEEP_SIZE, start, size):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def can_punch(folder: Path) -> bool:
    """Whether the file system of that folder gives room back from the middle of a file. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, _PROBE_BYTES)
        before = os.fstat(file.fileno()).st_blocks
        try:
            punch(file.fileno(), 0, _PROBE_BYTES // 2)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM):
                return False
            raise
        return os.fstat(file.fileno()).st_blocks < before
