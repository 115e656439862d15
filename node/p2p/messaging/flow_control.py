"""What may be under way between us and one peer: a credit window out, bounded and serial queues in."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from blockstore.common.guard import Guard
from cluster.ports import GossipMessage


class CreditWindow:
    """Bytes that may be in flight at once. First come, first served; a larger message goes alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait for room, and keep it for the length of the block."""
        if self._waiting or not self._fits(size):
            await self._queue(size)
        else:
            self._used += size
        try:
            yield
        finally:
            self._used -= size
            self._admit()

    async def _queue(self, size: int) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, place))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._used -= size  # admitted and cancelled in the same moment
            self._admit()
            raise

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= self._most

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._fits(self._waiting[0][0])):
            size, place = self._waiting.popleft()
            if not place.cancelled():
                self._used += size
                place.set_result(None)


class BoundedQueue:
    """Gossip of one topic that waits for its handler; what is too much is dropped.

    `most`: bytes of one author, twice that of all. A message costs `least` bytes, however small it is.
    """

    def __init__(self, most: int = 8 * 1024 * 1024, least: int = 16 * 1024) -> None:
        self._most = most
        self._least = least
        self._size = 0
        self._of: Counter[str] = Counter()  # bytes an author
        self._queue: asyncio.Queue[GossipMessage] = asyncio.Queue()

    def put(self, message: GossipMessage) -> bool:
        """Whether there was room."""
        author, size = message.author, self._size_of(message)
        if self._size + size > 2 * self._most or self._of[author] + size > self._most:
            return False
        self._size += size
        self._of[author] += size
        self._queue.put_nowait(message)
        return True

    async def get(self) -> GossipMessage:
        message = await self._queue.get()
        author, size = message.author, self._size_of(message)
        self._size -= size
        self._of[author] -= size
        if not self._of[author]:
            del self._of[author]
        return message

    def _size_of(self, message: GossipMessage) -> int:
        return max(len(message.data), self._least)


class SerialQueue:
    """Messages of one peer for one handler: handled one after the other, in order.

    It is as long as the trio side's allowance for that peer lets it become. An exception of the handler
    concerns that message only: `guard` counts it.
    """

    def __init__(
        self,
        protocol: str,
        peer: str,
        spawn: Callable[[Coroutine[object, object, None]], object],
        guard: Guard,
    ) -> None:
        self._what = f"a message of {protocol}"
        self._peer = peer
        self._spawn = spawn
        self._guard = guard
        self._jobs: deque[Callable[[], Coroutine[object, object, None]]] = deque()
        self._busy = False

    def put(self, job: Callable[[], Coroutine[object, object, None]]) -> None:
        self._jobs.append(job)
        if not self._busy:
            self._busy = True
            self._spawn(self._drain())

    async def _drain(self) -> None:
        try:
            while self._jobs:
                with self._guard.around(self._what, self._peer):
                    await self._jobs.popleft()()
        finally:
            self._busy = False
