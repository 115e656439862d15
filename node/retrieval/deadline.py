"""How long one request may wait for what is fetched."""

from __future__ import annotations

import asyncio


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
