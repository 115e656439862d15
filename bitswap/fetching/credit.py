"""A circuit breaker for each peer: after failures it is asked last, by every fetch, until it makes good."""

from __future__ import annotations

_MAX_FAILURES = 8  # failures remembered
_TOGETHER = 1.0  # seconds within which several blocks that are late count once
_FIRST_PENALTY = 10.0  # seconds at the end of the line after one failure; twice that after each more
_BLOCKS_A_PARDON = 4  # blocks in a row that halve the failures


class Credit:
    """`failures`: times that it did not deliver or answer in time, less what it has made good since."""

    def __init__(self) -> None:
        self.failures = 0
        self._failed_at = float("-inf")
        self._kept = 0
        self._proven = False

    def __repr__(self) -> str:
        return f"<Credit: {self.failures} failures>"

    def owes(self, now: float) -> bool:
        """Whether others are asked first: a while after a failure, longer after several."""
        return self.failures > 0 and now - self._failed_at < _FIRST_PENALTY * 2 ** (self.failures - 1)

    @property
    def proven(self) -> bool:
        """Whether it has delivered, and owes nothing since."""
        return self._proven and not self.failures

    def on_failure(self, now: float) -> None:
        """It did not answer in time. Several wants that run out at once are one failure."""
        self._kept = 0
        if now - self._failed_at > _TOGETHER:
            self.failures = min(self.failures + 1, _MAX_FAILURES)
            self._failed_at = now

    def on_block(self) -> None:
        """It delivered."""
        self._proven = True
        self._kept += 1
        if self._kept >= _BLOCKS_A_PARDON:
            self._kept = 0
            self.failures //= 2
