"""glibc's allocator told to keep freed memory, so that large blocks do not fault their pages in anew."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MIB = 1024 * 1024


def keep_freed_memory() -> None:
    """Reads of 1 MiB blocks become several times faster for some tens of MB; does nothing without glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 4 * _MIB)
        mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)
        mallopt(_M_TOP_PAD, 16 * _MIB)
