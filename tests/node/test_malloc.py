"""Memory that was needed for a while goes back to the system."""

import asyncio
import sys
from pathlib import Path

import pytest

from node import malloc

MIB = 1 << 20


def resident() -> float:
    (line,) = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has malloc_trim")
async def test_freed_memory_is_given_back() -> None:
    held = [bytes([index % 251]) * 60_000 for index in range(3000)]  # small enough not to be mapped alone
    last = held[-1]
    high = resident()
    del held
    assert resident() > high - 20, "the allocator keeps what lies below the last piece"
    async with malloc.tuned_memory(fast=True, interval=0.05), asyncio.timeout(60):
        while resident() > high - 100:
            await asyncio.to_thread(resident)
    assert last
