"""What a file system says of its room."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def disk_free(path: Path) -> int:
    """Bytes that we may still write on the disk of that file or folder."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


def is_full(error: OSError) -> bool:
    """Whether a write failed because the disk, or our quota on it, or the limit of a file, has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
