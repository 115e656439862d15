"""A total, and how much of it came a second lately."""

from __future__ import annotations

import math

_MEMORY = 10.0  # seconds over which a rate is averaged, those long ago less than those just now


class Meter:
    """Amounts and times in; times are seconds of one clock."""

    __slots__ = ("_at", "_rate", "total")

    def __init__(self) -> None:
        self.total = 0
        self._rate = 0.0
        self._at = 0.0

    def add(self, amount: int, now: float) -> None:
        self._rate, self._at = self.rate_at(now) + amount / _MEMORY, now
        self.total += amount

    def rate_at(self, now: float) -> float:
        """A second."""
        return self._rate * math.exp((self._at - now) / _MEMORY)
