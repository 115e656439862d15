"""Long work on the event loop in slices, so that everything else keeps answering."""

from __future__ import annotations

import asyncio
import time

SLICE = 0.005  # seconds


class TimeSlice:
    """Gives the loop a turn whenever the work since the last one took longer than a slice."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def take(self) -> None:
        if time.perf_counter() - self._since > SLICE:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
