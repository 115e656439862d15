"""Exponential back-off with jitter: the pauses between attempts that fail, doubled by each one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

_MAX_DOUBLINGS = 62


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds: `first`, then twice the one before, up to `longest`.

    Each is spread by `jitter`, a share of it either way, so that peers that failed together do not come back
    together; `draw` gives a random number from 0 to 1.
    """

    first: float
    longest: float
    jitter: float = 0.25
    draw: Callable[[], float] = random.random

    def __iter__(self) -> Iterator[float]:
        """The pauses of a loop, from the first on, without end; iterate anew after a success."""
        return map(self.after, count(1))

    def after(self, failures: int) -> float:
        """The pause after that many failures in a row (from 1)."""
        pause = min(self.longest, self.first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
        return pause * (1 + self.jitter * (2 * self.draw() - 1))
