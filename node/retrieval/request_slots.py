"""A semaphore for requests to one gateway; those that wait long for an answer pass their slot on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

_OUT = 8  # times as many requests may be out, most of them without an answer


class RequestSlots:
    """First come, first served."""

    def __init__(self, count: int) -> None:
        self._busy = asyncio.Semaphore(count)
        self._out = asyncio.Semaphore(_OUT * count)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[RequestSlot]:
        """Wait for a turn, which lasts as long as the block."""
        async with self._out:
            await self._busy.acquire()
            turn = RequestSlot(self._busy)
            try:
                yield turn
            finally:
                turn.pass_on()


class RequestSlot:
    """One request's place among those that count."""

    def __init__(self, busy: asyncio.Semaphore) -> None:
        self._busy = busy
        self._passed_on = False

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Within the block an answer is awaited; when that takes longer, another request has the place."""
        timer = asyncio.get_running_loop().call_later(seconds, self.pass_on)
        try:
            yield
        finally:
            timer.cancel()

    def pass_on(self) -> None:
        """Give the place up, if that was not done yet."""
        if not self._passed_on:
            self._passed_on = True
            self._busy.release()
