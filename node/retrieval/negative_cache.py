"""A negative cache: blocks that could not be had a moment ago are not looked for again at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cachetools import TTLCache

from blockstore.cid import CID
from blockstore.errors import BlockNotFound

_MAX_ENTRIES = 4096


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


class NegativeCache:
    """At most 4096, each for `ttl` seconds, those not asked for longest go first; 0 remembers nothing."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._now = asyncio.get_running_loop().time
        self._misses: TTLCache[CID, _Miss] = TTLCache(_MAX_ENTRIES, ttl, self._now)

    def __len__(self) -> int:
        return len(self._misses)

    def add(self, cid: CID, cause: Cause) -> None:
        self._misses[cid] = _Miss(cause, self._now() + self._ttl)

    def among(self, cids: Iterable[CID]) -> dict[CID, RecentlyMissing]:
        """What to answer for those of these that are known to be missing."""
        found = {cid: miss for cid in cids if (miss := self._misses.get(cid))} if self._misses else {}
        return {cid: self._error(cid, miss) for cid, miss in found.items()}

    def _error(self, cid: CID, miss: _Miss) -> RecentlyMissing:
        return RecentlyMissing(cid, miss.cause(), miss.until - self._now())
