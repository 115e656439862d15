"""The system's page cache, let go of where a read is to ask the disk itself."""

from __future__ import annotations

import os
from collections.abc import Iterable


def drop_cached(file: int, ranges: Iterable[tuple[int, int]]) -> None:
    """Ranges (start, bytes) of that descriptor's file come from the disk when they are next read.

    What waits to be written stays. Nothing happens on systems without posix_fadvise.
    """
    if hasattr(os, "posix_fadvise"):
        for start, size in ranges:
            os.posix_fadvise(file, start, size, os.POSIX_FADV_DONTNEED)
