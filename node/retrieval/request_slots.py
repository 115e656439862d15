"""Who may ask a gateway now: so many at once, and those without an answer keep nobody waiting for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

_OUT = 8  # times as many requests may be out, most of them without an answer


class RequestSlots:
    """First come, first served."""

    def __init__(self, most: int) -> None:
        self._busy = asyncio.Semaphore(most)
        self._out = asyncio.Semaphore(_OUT * most)

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
        """Within the block an answer is awaited; when that takes longer, somebody else has the place."""
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
