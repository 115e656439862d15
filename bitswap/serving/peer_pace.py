"""How fast one peer is given blocks at most. Pure; times are seconds."""

from __future__ import annotations

from collections.abc import Container

from cachetools import LRUCache

from blockstore.common.token_bucket import TokenBucket

_REMEMBERED = 4096  # peers: connecting again gives a peer no new allowance
_BURST = 1.0  # seconds of the rate, that a peer which was idle is given at once


class PeerPace:
    """`rate` in bytes a second; 0 is no limit. Who was given more than that waits until it is made up for.

    `friends` never wait.
    """

    def __init__(self, rate: int = 0, friends: Container[str] = ()) -> None:
        self._rate = rate
        self._friends = friends
        self._buckets: LRUCache[str, TokenBucket] = LRUCache(_REMEMBERED)

    def wait(self, peer: str, now: float) -> float:
        """Seconds until it may be given more."""
        bucket = self._buckets.get(peer)
        return 0.0 if bucket is None else bucket.owe(0, now)

    def given(self, peer: str, size: int, now: float) -> None:
        if not self._rate or peer in self._friends:
            return
        bucket = self._buckets.get(peer)
        if bucket is None:
            bucket = self._buckets[peer] = TokenBucket(self._rate, self._rate * _BURST)
        bucket.owe(size, now)
