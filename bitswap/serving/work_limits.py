"""Token buckets for the work that peers make without a block for either side: wantlists, unwanted answers.

Each peer has an allowance, and earns more of it with each block that it takes, or sends because we wanted it.
Above it, peers share what is left: each is held back until its messages are paid for, and the transport reads
no further meanwhile. Allowances come out of one pool: many peers together may do hardly more than a few.
"""

from __future__ import annotations

from dataclasses import dataclass

from cachetools import LRUCache

from blockstore.common.token_bucket import TokenBucket

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
class _Allowance:
    """What one peer has. No TokenBucket: it is refilled out of the pool, and by what the peer earns."""

    items: float
    at: float
    held: float = 0.0


class WorkLimits:
    """Pure: times are seconds."""

    def __init__(self, rates: WorkRates | None = None) -> None:
        self._rates = rates or WorkRates()
        self._pool = TokenBucket(self._rates.shared, _POOL * self._rates.burst)
        self._allowances: LRUCache[str, _Allowance] = LRUCache(_REMEMBERED)
        self._held: set[str] = set()

    def __repr__(self) -> str:
        return f"<WorkLimits: {len(self._allowances)} peers, {len(self._held)} held back>"

    def charge(self, peer: str, items: int, now: float) -> float:
        """It made us work; how many seconds to hold it back. Followed by `release` when that is not zero."""
        allowance = self._allowance(peer, now)
        allowance.items -= items
        if allowance.items >= 0:
            return 0.0
        self._held.add(peer)
        seconds = min(-allowance.items * len(self._held) / self._rates.shared, _MAX_HOLD)
        allowance.items, allowance.at = 0.0, now + seconds
        allowance.held += seconds
        return seconds

    def release(self, peer: str) -> None:
        """It was held back for long enough."""
        self._held.discard(peer)

    def earn(self, peer: str, blocks: int, now: float) -> None:
        """It took blocks, or sent some that were wanted."""
        allowance = self._allowance(peer, now)
        allowance.items = min(allowance.items + blocks * self._rates.earned, self._rates.burst)
        allowance.held = 0.0

    def is_abuse(self, peer: str) -> bool:
        """Whether it goes on and on and earns nothing."""
        allowance = self._allowances.get(peer)
        return allowance is not None and allowance.held >= self._rates.abuse

    def _allowance(self, peer: str, now: float) -> _Allowance:
        """What it has now. It is kept when the peer goes: connecting again gives no new one."""
        allowance = self._allowances.get(peer)
        if allowance is None:
            allowance = _Allowance(max(_MIN_ITEMS, self._drawn(self._rates.burst, now)), now)
            self._allowances[peer] = allowance
        if (idle := now - allowance.at) > 0:
            lacking = self._rates.burst - allowance.items
            allowance.items += self._drawn(min(idle * self._rates.rate, lacking), now)
            allowance.held = max(0.0, allowance.held - idle)
            allowance.at = now
        return allowance

    def _drawn(self, items: float, now: float) -> float:
        """From the pool: at most a share of what is there, so that something is left for the next one."""
        given = min(items, self._pool.available(now) / _POOL)
        self._pool.owe(given, now)
        return given
