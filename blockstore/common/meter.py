"""A total, and how much of it came a second lately."""

from __future__ import annotations

import math

_MEMORY = 10.0  # seconds over which a rate is averaged, those long ago less than those just now
_LEAST = 0.1  # seconds since the start that a rate is of, at least


class Meter:
    """Amounts and times in; times are seconds of one clock, the first of them that of the start."""

    __slots__ = ("_at", "_begun", "_sum", "total")

    def __init__(self, now: float = 0.0) -> None:
        self.total = 0
        self._sum = 0.0
        self._begun = self._at = now

    def add(self, amount: int, now: float) -> None:
        self._sum, self._at = self._sum * math.exp((self._at - now) / _MEMORY) + amount, now
        self.total += amount

    def rate_at(self, now: float) -> float:
        """A second; soon after the start it is of what came since then."""
        weight = -math.expm1((self._begun - max(now, self._begun + _LEAST)) / _MEMORY)
        return self._sum * math.exp((self._at - now) / _MEMORY) / (_MEMORY * weight)
