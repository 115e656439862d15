"""Blocks that could not be had a moment ago: they are not looked for again at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from blockstore.cid import CID
from blockstore.errors import BlockNotFound

_MOST = 4096


class RecentlyMissing(BlockNotFound):
    """The block could not be had a moment ago, for the reason in `cause`; it may in `retry_after` seconds."""

    def __init__(self, cid: CID, cause: Exception, retry_after: float) -> None:
        super().__init__(cid, str(cause))
        self.cause = cause
        self.retry_after = retry_after


Cause = Callable[[], Exception]
"""Makes the error anew: one that was raised holds on to all that it came through."""


class _Miss(NamedTuple):
    cause: Cause
    until: float


class Misses:
    """At most 4096, each for `ttl` seconds, so that the oldest is the first to go; 0 remembers nothing."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._misses: dict[CID, _Miss] = {}
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        return len(self._misses)

    def add(self, cid: CID, cause: Cause) -> None:
        if not self._ttl:
            return
        self._misses.pop(cid, None)
        self._misses[cid] = _Miss(cause, self._loop.time() + self._ttl)
        self._forget()

    def among(self, cids: Iterable[CID]) -> dict[CID, RecentlyMissing]:
        """What to answer for those of these that are known to be missing."""
        if not self._misses:
            return {}
        self._forget()
        return {cid: self._error(cid) for cid in cids if cid in self._misses}

    def _error(self, cid: CID) -> RecentlyMissing:
        cause, until = self._misses[cid]
        return RecentlyMissing(cid, cause(), until - self._loop.time())

    def _forget(self) -> None:
        now = self._loop.time()
        while self._misses:
            oldest = next(iter(self._misses))
            if len(self._misses) <= _MOST and self._misses[oldest].until > now:
                return
            del self._misses[oldest]
