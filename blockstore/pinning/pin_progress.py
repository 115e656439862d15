"""How far the walk of one pin is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from blockstore.common.meter import Meter


class PinProgress(NamedTuple):
    """Blocks here and their bytes, and blocks that are known and not here yet.

    `remaining` bytes are to come, as far as the root says; None where it says nothing. `rate`: bytes a second
    lately.
    """

    blocks: int
    bytes: int
    pending: int
    remaining: int | None = None
    rate: float = 0.0


class ProgressMeter:
    """Counts of one walk as they grow."""

    def __init__(self, size: int = 0, now: Callable[[], float] = time.monotonic) -> None:
        """`size`: bytes that an earlier walk has left here."""
        self._now = now
        self._begun = now()
        self._meter = Meter(self._begun)
        self._before = size
        self.claimed: int | None = None
        """Bytes of the whole DAG, as its root says."""

    def seconds(self) -> float:
        """Since it began."""
        return self._now() - self._begun

    def read(self, blocks: int, size: int, pending: int) -> PinProgress:
        """With the rate up to now."""
        now = self._now()
        self._meter.add(size - self._before - self._meter.total, now)
        remaining = None if self.claimed is None else max(0, self.claimed - size) if pending else 0
        return PinProgress(blocks, size, pending, remaining, self._meter.rate_at(now))
