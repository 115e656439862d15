"""How long one request may wait for what is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """`seconds` until the first byte of the answer, and from then on for every single wait."""

    def __init__(self, seconds: float) -> None:
        self._end: float | None = asyncio.get_running_loop().time() + seconds
        self.seconds = seconds

    def of(self, began: float) -> float:
        """The loop's time until when a wait that began then may last."""
        return began + self.seconds if self._end is None else self._end

    def first_byte(self) -> None:
        """The answer has begun."""
        self._end = None


class Alarm:
    """Calls `ring` when a wait that begins now has reached its deadline, which may move meanwhile.

    The wait is a block of code, not a task: most blocks are here, and tasks would cost half as much again.
    """

    def __init__(self, deadline: Deadline, ring: Callable[[], None]) -> None:
        self._deadline = deadline
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer = self._set()

    def __enter__(self) -> None:
        """The timer runs from the beginning."""

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()

    def waited(self) -> float:
        """Seconds."""
        return self._loop.time() - self._began

    def _set(self) -> asyncio.TimerHandle:
        return self._loop.call_at(self._deadline.of(self._began), self._look)

    def _look(self) -> None:
        if self._deadline.of(self._began) > self._loop.time():  # the answer has begun meanwhile
            self._timer = self._set()
        else:
            self._ring()
