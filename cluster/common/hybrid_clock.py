"""A hybrid logical clock: stamps that grow with time and with what was seen, whatever the wall clock does.

A stamp is one integer, milliseconds since 1970 in its upper 47 bits and a counter in the lower 16
(Kulkarni et al., "Logical Physical Clocks", 2014). Stamps only order *concurrent* pins of one CID; what is
pinned at all never depends on them, so a wrong clock can cost no pin.
"""

from __future__ import annotations

from collections.abc import Callable

COUNTER_BITS = 16
MAX_STAMP = (1 << 63) - 1
TOLERANCE = 300.0
"""Seconds a member's clock may be off before it is reported and no longer followed."""


def seconds(stamp: int) -> float:
    """The physical part of a stamp, in seconds since 1970."""
    return (stamp >> COUNTER_BITS) / 1000


class HybridClock:
    """Issues stamps, and follows others' up to TOLERANCE ahead: one wild clock does not drag all along."""

    def __init__(self, now: Callable[[], float], last: int = 0) -> None:
        self._now = now
        self._last = last

    @property
    def last(self) -> int:
        """The newest stamp issued or followed."""
        return self._last

    def tick(self, above: int = 0) -> int:
        """A stamp newer than every one issued or followed, and than `above`, which is not followed."""
        self._last = min(max(self._physical(), self._last + 1), MAX_STAMP)
        return min(max(self._last, above + 1), MAX_STAMP)

    def observe(self, stamp: int) -> float:
        """Follow a stamp that was seen; returns by how many seconds it is ahead of the wall clock."""
        ahead = seconds(stamp) - self._now()
        if ahead <= TOLERANCE:
            self._last = max(self._last, stamp)
        return ahead

    def ahead(self) -> float:
        """Seconds by which our own stamps run ahead of the wall clock: large after it was set back."""
        return seconds(self._last) - self._now()

    def _physical(self) -> int:
        return max(0, int(self._now() * 1000)) << COUNTER_BITS
