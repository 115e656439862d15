"""Token buckets for the work that peers make without a block for either side: wantlists, unwanted answers.

Each peer has an allowance, and earns more of it with each block that it takes, or sends because we wanted it.
Above it, peers share what is left: each is held back until its messages are paid for, and the transport reads
no further meanwhile. Allowances come out of one pool: many peers together may do hardly more than a few.
"""

from __future__ import annotations

from dataclasses import dataclass

from cachetools import LRUCache

_REMEMBERED = 1024  # peers
_POOL = 4  # bursts in the pool when it is full, and the part of it that one peer may draw
_MIN_ITEMS = 64  # items that a new peer has though the pool is empty
_MAX_HOLD = 30.0  # seconds that one message may hold its peer back


@dataclass(frozen=True, slots=True)
class WorkRates:
    """Items are entries of wantlists, presences and blocks.

    `burst`: what a peer may send at once, as many as one message holds; `rate`: how much of that comes back a
    second. `shared`: items a second of all who send more, and as many come back to the pool. `earned`: items
    for a block. `abuse`: seconds of being held back after which a peer that earns nothing is let go.
    """

    burst: int = 16_384
    rate: int = 256
    shared: int = 4096
    earned: int = 4
    abuse: float = 60.0


@dataclass(slots=True, eq=False)
class _Bucket:
    items: float
    at: float
    held: float = 0.0


class WorkLimits:
    """Pure: times are seconds."""

    def __init__(self, rates: WorkRates | None = None) -> None:
        self._rates = rates or WorkRates()
        self._pool = _Bucket(_POOL * self._rates.burst, 0.0)
        self._buckets: LRUCache[str, _Bucket] = LRUCache(_REMEMBERED)
        self._held: set[str] = set()

    def __repr__(self) -> str:
        return f"<WorkLimits: {len(self._buckets)} peers, {len(self._held)} held back>"

    def charge(self, peer: str, items: int, now: float) -> float:
        """It made us work; how many seconds to hold it back. Followed by `release` when that is not zero."""
        bucket = self._bucket(peer, now)
        bucket.items -= items
        if bucket.items >= 0:
            return 0.0
        self._held.add(peer)
        seconds = min(-bucket.items * len(self._held) / self._rates.shared, _MAX_HOLD)
        bucket.items, bucket.at = 0.0, now + seconds
        bucket.held += seconds
        return seconds

    def release(self, peer: str) -> None:
        """It was held back for long enough."""
        self._held.discard(peer)

    def earn(self, peer: str, blocks: int, now: float) -> None:
        """It took blocks, or sent some that were wanted."""
        bucket = self._bucket(peer, now)
        bucket.items = min(bucket.items + blocks * self._rates.earned, self._rates.burst)
        bucket.held = 0.0

    def is_abuse(self, peer: str) -> bool:
        """Whether it goes on and on and earns nothing."""
        bucket = self._buckets.get(peer)
        return bucket is not None and bucket.held >= self._rates.abuse

    def _bucket(self, peer: str, now: float) -> _Bucket:
        """What it has now. It is kept when the peer goes: connecting again gives no new one."""
        bucket = self._buckets.get(peer)
        if bucket is None:
            bucket = _Bucket(max(_MIN_ITEMS, self._drawn(self._rates.burst, now)), now)
            self._buckets[peer] = bucket
        if (idle := now - bucket.at) > 0:
            lacking = self._rates.burst - bucket.items
            bucket.items += self._drawn(min(idle * self._rates.rate, lacking), now)
            bucket.held = max(0.0, bucket.held - idle)
            bucket.at = now
        return bucket

    def _drawn(self, items: float, now: float) -> float:
        """From the pool: at most a share of what is there, so that something is left for the next one."""
        pool = self._pool
        pool.items = min(pool.items + (now - pool.at) * self._rates.shared, _POOL * self._rates.burst)
        pool.at = now
        given = min(items, pool.items / _POOL)
        pool.items -= given
        return given
