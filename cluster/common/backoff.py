"""How long a failing CID waits: doubling from the first wait to the longest, spread by a quarter each way."""

from __future__ import annotations


def delay(failures: int, first: float, most: float, jitter: float) -> float:
    """Seconds after the `failures`-th failure in a row (from 1); `jitter` in [0, 1] spreads the retries."""
    doublings = min(failures - 1, 62)
    return min(most, first * 2.0**doublings) * (0.75 + 0.5 * jitter)
