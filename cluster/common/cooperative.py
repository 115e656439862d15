"""Long work on the event loop in slices, so that everything else keeps answering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SLICE = 0.005  # seconds


class TimeSlice:
    """Gives the loop a turn whenever the work since the last one took longer than `seconds`."""

    def __init__(self, seconds: float = SLICE) -> None:
        self._seconds = seconds
        self._since = time.perf_counter()

    async def take(self) -> None:
        if time.perf_counter() - self._since > self._seconds:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


Slices = Callable[[], TimeSlice]
"""Begins a piece of long work."""
