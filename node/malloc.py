"""glibc's allocator: set to keep freed memory while there is work, and to give it back now and then.

Blocks of 1 MiB come and go. By default each one is mapped and faulted in anew, or, once glibc has adapted,
kept for good in the arenas of the threads that read it.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from blockstore.common.tasks import background

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MIB = 1024 * 1024
_INTERVAL = 60.0  # seconds


@asynccontextmanager
async def tuned_memory(*, fast: bool, interval: float = _INTERVAL) -> AsyncIterator[None]:
    """For the length of the block, with glibc; without it nothing. `fast`: some tens of MB more, at work.

    `interval`: seconds between the times that memory is given back.
    """
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if not hasattr(libc, "malloc_trim") or libc is None:
        yield
        return
    if fast:
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * _MIB)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)
        libc.mallopt(_M_TOP_PAD, 16 * _MIB)
    async with background(_give_back(libc, interval)):
        yield


async def _give_back(libc: ctypes.CDLL, interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        await asyncio.to_thread(libc.malloc_trim, 0)
