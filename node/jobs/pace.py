"""How fast something goes lately."""

from __future__ import annotations

from collections import deque

_WINDOW = 30.0  # seconds that count
_SPACING = 1.0  # between two looks that are kept


def average(done: int, seconds: float) -> float:
    """Units a second over so long; 0 where that says nothing."""
    return done / seconds if seconds > 0 else 0.0


class Pace:
    """Units a second, over the last half minute or since the beginning."""

    def __init__(self, now: float) -> None:
        """Times are seconds of any clock."""
        self._looks: deque[tuple[float, int]] = deque([(now, 0)])

    def observe(self, done: int, now: float) -> None:
        """So many units are done."""
        if now - self._looks[-1][0] >= _SPACING:
            self._looks.append((now, done))
        while len(self._looks) > 1 and now - self._looks[1][0] >= _WINDOW:
            self._looks.popleft()

    def rate(self, done: int, now: float) -> float:
        since, before = self._looks[0]
        return max(0.0, average(done - before, now - since))
