"""A limit in bytes a second that many share: each passes a slice, then it is the next one's turn."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from blockstore.common.meter import Meter
from blockstore.common.token_bucket import TokenBucket

_BURST_SECONDS = 0.1
_SLICES = 20  # a second, where there is a limit; and
_MIN_SLICE = 4 * 1024  # bytes of each, at least
_LOOK_SECONDS = 1.0  # until it is asked again what the limit is

Limit = Callable[[], int | None]
"""Bytes a second at this moment; None where there is no limit."""


def no_limit() -> int | None:
    return None


class Passed(NamedTuple):
    """`limit` in bytes a second, None without one; `total` bytes since the start, `rate` a second lately."""

    limit: int | None
    total: int
    rate: float


class Throttle:
    """What passes is counted, and waits where there is a limit. Every thread may use it."""

    def __init__(self, limit: Limit = no_limit, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._now = now
        self._lock = threading.Lock()
        self._meter = Meter(now())
        self._rate: int | None = None
        self._bucket: TokenBucket | None = None
        self._look_at = float("-inf")

    def __repr__(self) -> str:
        return f"<Throttle {self.passed()}>"

    def take(self, size: int) -> tuple[int, float]:
        """How many of so many bytes pass next, and the seconds to wait before they do."""
        with self._lock:
            now = self._now()
            bucket = self._bucket_at(now)
            if bucket is not None and self._rate is not None:
                size = min(size, max(_MIN_SLICE, self._rate // _SLICES))
            self._meter.add(size, now)
            return size, 0.0 if bucket is None else bucket.owe(size, now)

    async def slices(self, size: int) -> AsyncIterator[int]:
        """Parts of so many bytes, each when it may pass."""
        while size:
            part, wait = self.take(size)
            if wait:
                await asyncio.sleep(wait)
            yield part
            size -= part

    async def let_pass(self, size: int) -> None:
        """Return when so many bytes may pass."""
        async for _ in self.slices(size):
            pass

    def passed(self) -> Passed:
        with self._lock:
            now = self._now()
            self._bucket_at(now)
            return Passed(self._rate, self._meter.total, self._meter.rate_at(now))

    def _bucket_at(self, now: float) -> TokenBucket | None:
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            if (rate := self._limit()) != self._rate:
                self._rate = rate
                self._bucket = None if rate is None else TokenBucket(rate, rate * _BURST_SECONDS)
        return self._bucket


class BothWays(NamedTuple):
    """One way to others: what goes out there, and what comes in."""

    up: Throttle
    down: Throttle


def unlimited() -> BothWays:
    return BothWays(Throttle(), Throttle())
