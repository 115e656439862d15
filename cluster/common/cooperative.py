"""Cooperative multitasking: long work on the event loop in time slices, so that all else keeps answering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SLICE = 0.005  # seconds


class TimeSlice:
    """Lets others run whenever more than `seconds` have passed since they last did."""

    def __init__(self, seconds: float = SLICE) -> None:
        self._seconds = seconds
        self._since = time.perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether the slice is used up: to ask costs a third of awaiting `yield_if_due`."""
        return time.perf_counter() - self._since > self._seconds

    async def rest(self) -> None:
        """Yield to the event loop, and begin the next slice."""
        await asyncio.sleep(0)
        self._since = time.perf_counter()

    async def yield_if_due(self) -> None:
        """`rest` if the slice is used up."""
        if self.is_due:
            await self.rest()


Slices = Callable[[], TimeSlice]
"""Makes the first time slice of a piece of work."""
