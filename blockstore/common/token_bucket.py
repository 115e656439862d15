"""A rate with a burst allowance: amounts and times in, seconds to wait out.

The generic cell rate algorithm: a token bucket whose state is the time at which it is full again.
"""

from __future__ import annotations

_NOTHING = 1e-6  # seconds: less than that is rounding


class TokenBucket:
    """Holds `burst`, and `rate` flows back into it each second. It begins full."""

    __slots__ = ("_burst", "_full_at", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._full_at = 0.0

    def take(self, amount: float, now: float) -> float:
        """0 when the amount was there and is taken; else the seconds until it may be, and nothing is taken.

        An amount above the burst is never there.
        """
        full_at = self._after(amount, now)
        wait = self._until_there(full_at, now)
        if not wait:
            self._full_at = full_at
        return wait

    def owe(self, amount: float, now: float) -> float:
        """The amount is taken, be it there or not; the seconds until the debt is gone."""
        self._full_at = self._after(amount, now)
        return self._until_there(self._full_at, now)

    def available(self, now: float) -> float:
        """What is in it; below zero while something is owed."""
        return self._burst - max(0.0, self._full_at - now) * self._rate

    def _after(self, amount: float, now: float) -> float:
        return max(self._full_at, now) + amount / self._rate

    def _until_there(self, full_at: float, now: float) -> float:
        wait = full_at - now - self._burst / self._rate
        return wait if wait > _NOTHING else 0.0
