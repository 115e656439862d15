"""Lines between the connection, which brings them, and the pinset, which takes them in groups."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

_MAX_BYTES = 1024 * 1024  # that wait; some seconds of work after the client has gone
_MAX_LINES = 20_000  # that wait, blank ones among them
_LINE_COST = 64  # bytes that a line takes beside its text


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Lines that follow one another, the first of which has that number (from 1); blank ones among them."""

    first: int
    lines: Sequence[bytes]

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1


class LineQueue:
    """Bounded: who brings lines waits until there is room. The first `skip` lines are passed over."""

    def __init__(self, skip: int = 0) -> None:
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._next = 1
        self._skip = skip
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def seen(self) -> int:
        """Lines that came so far."""
        return self._next - 1 + len(self._lines)

    async def put(self, lines: Sequence[bytes]) -> None:
        """Returns when there is room for more."""
        passed = min(len(lines), max(0, self._skip - self.seen))
        self._next += passed
        self._lines.extend(lines[passed:])
        self._bytes += sum(map(len, lines[passed:]))
        self._changed.set()
        while self._full() and not self._ended:
            await self._change()

    def end(self) -> None:
        """Nothing more comes; what is here can still be taken."""
        self._ended = True
        self._changed.set()

    async def take(self, most: int) -> LineGroup | None:
        """What is here, `most` lines at most; None when nothing more comes."""
        while not self._lines and not self._ended:
            await self._change()
        if not self._lines:
            return None
        lines = list(islice(self._lines, most))
        for _ in lines:
            self._lines.popleft()
        group = LineGroup(self._next, lines)
        self._next += len(lines)
        self._bytes -= sum(map(len, lines))
        self._changed.set()
        return group

    def _full(self) -> bool:
        count = len(self._lines)
        return count > _MAX_LINES or self._bytes + _LINE_COST * count > _MAX_BYTES

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
