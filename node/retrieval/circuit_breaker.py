"""A circuit breaker for one gateway: open for a while after failures, with exponential backoff. Pure."""

from __future__ import annotations

import random

FIRST_REST = 1.0  # seconds after a first failure, doubled with each further one
_MAX_REST = 300.0
_REST_AFTER_BAD_BLOCK = 900.0
_ONE_FAILURE = 1.0  # seconds: requests that fail together have failed once
_MAX_FAILURES = 16


class GatewayHealth:
    """Times are the loop's seconds. Rests vary by a quarter, so that nodes do not all return at once."""

    def __init__(self, first_rest: float = FIRST_REST, dice: random.Random | None = None) -> None:
        self._first_rest = first_rest
        self._dice = dice or random.Random()
        self._until = float("-inf")
        self._failed_at = float("-inf")
        self._answered_at = float("-inf")
        self._failures = 0
        self._seconds = 0.0  # a running average to the first byte

    def __repr__(self) -> str:
        return (
            f"<GatewayHealth {self._failures} failures, rests until {self._until:.1f}, {self._seconds:.3f} s>"
        )

    def rest(self, now: float) -> float:
        """Seconds that it is still to be left alone; 0 when it may be asked."""
        return max(0.0, self._until - now)

    def order(self, now: float) -> tuple[bool, int, float]:
        """Sorts the best first."""
        return self.rest(now) > 0, self._failures, self._seconds

    def on_answer(self, asked_at: float, now: float) -> None:
        """It said something sensible, be it that it does not have the block."""
        self._answered_at = now
        self._failures = 0
        self._seconds += (now - asked_at - self._seconds) / 8

    def on_left(self, asked_at: float, now: float) -> None:
        """No caller waits for its answer any more, which takes at least that long."""
        self._seconds = max(self._seconds, now - asked_at)

    def on_failure(self, now: float) -> None:
        """It could not be reached, or is broken."""
        if now - self._failed_at > _ONE_FAILURE:
            self._failed_at = now
            self._failures = min(self._failures + 1, _MAX_FAILURES)
            self.postpone(now, min(self._first_rest * 2.0 ** (self._failures - 1), _MAX_REST))

    def on_silence(self, asked_at: float, now: float) -> None:
        """It did not answer in time: a failure only if it has answered no request since it was asked."""
        if self._answered_at < asked_at:
            self.on_failure(now)

    def on_bad_block(self, now: float) -> None:
        """It sent bytes that are not the block."""
        self._failures = min(self._failures + 1, _MAX_FAILURES)
        self.postpone(now, _REST_AFTER_BAD_BLOCK)

    def postpone(self, now: float, seconds: float) -> None:
        """Leave it alone that long, at most 15 minutes."""
        rest = min(seconds, _REST_AFTER_BAD_BLOCK) * (1 + self._dice.random() / 4)
        self._until = max(self._until, now + rest)
