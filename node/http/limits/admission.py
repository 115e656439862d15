"""Who is answered now: so many requests at once, and of each client so many, so often and so fast.

Plain and synchronous: no request of any HTTP library is known here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from blockstore.common.token_bucket import TokenBucket

_CLIENTS = 16_384  # that are remembered
_LONGEST_WAIT = 30.0  # seconds that an answer is held back for its client's pace
_BUSY_SECONDS = 60  # until a client of a full gateway is to ask again (boxo)


class TooManyRequests(Exception):
    """A request that is not answered now; `retry_after` in seconds."""

    def __init__(self, text: str, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """0 is no limit.

    `requests` at once in all; of each client `client_requests` at once, `client_rate` a second after
    `client_burst` at once, and `client_bytes` a second.
    """

    requests: int = 0
    client_requests: int = 0
    client_rate: float = 0.0
    client_burst: int = 1
    client_bytes: int = 0

    @property
    def per_client(self) -> bool:
        return bool(self.client_requests or self.client_rate or self.client_bytes)


class ClientUsage:
    """What one client has used up. `pace` is None where its bytes are not limited."""

    __slots__ = ("inside", "pace", "rate")

    def __init__(self, rate: TokenBucket | None, pace: TokenBucket | None) -> None:
        self.rate = rate
        self.pace = pace
        self.inside = 0


class RequestAdmission:
    """Counts requests in and out. Clients that were not seen for longest are forgotten first."""

    def __init__(
        self, limits: RequestLimits, now: Callable[[], float] = time.monotonic, remembered: int = _CLIENTS
    ) -> None:
        """`remembered`: clients."""
        self.per_client = limits.per_client
        self._limits = limits
        self._now = now
        self._inside = 0
        self._any_client = ClientUsage(None, None)
        self._clients: LRUCache[bytes, ClientUsage] = LRUCache(remembered)

    @property
    def inside(self) -> int:
        """Requests that are being answered."""
        return self._inside

    def enter(self, key: bytes = b"") -> ClientUsage:
        """`key`: whose request it is, by `key_of`; counts only where limits are per client.

        Each `enter` needs its `leave`. Raises TooManyRequests.
        """
        limits = self._limits
        if limits.requests and self._inside >= limits.requests:
            raise TooManyRequests(
                f"this gateway answers {limits.requests} requests at once, and no more now", _BUSY_SECONDS
            )
        client = self._of(key) if self.per_client else self._any_client
        self._inside += 1
        client.inside += 1
        return client

    def leave(self, client: ClientUsage) -> None:
        self._inside -= 1
        client.inside -= 1

    def check_debt(self, client: ClientUsage) -> None:
        """Raises TooManyRequests for a client that would wait too long for its next byte."""
        if client.pace and (wait := client.pace.owe(0, self._now())) > _LONGEST_WAIT:
            raise TooManyRequests(
                f"too many requests: a client is sent {self._limits.client_bytes} bytes a second",
                math.ceil(wait - _LONGEST_WAIT),
            )

    def _of(self, key: bytes) -> ClientUsage:
        limits = self._limits
        client = self._clients.get(key) or self._new(key)
        self.check_debt(client)
        if limits.client_requests and client.inside >= limits.client_requests:
            raise TooManyRequests(
                f"too many requests: a client is answered {limits.client_requests} at once", 1
            )
        if client.rate and (wait := client.rate.take(1, self._now())):
            raise TooManyRequests(
                f"too many requests: a client is answered {limits.client_rate:g} a second", math.ceil(wait)
            )
        return client

    def _new(self, key: bytes) -> ClientUsage:
        limits = self._limits
        rate = TokenBucket(limits.client_rate, limits.client_burst) if limits.client_rate else None
        pace = TokenBucket(limits.client_bytes, limits.client_bytes) if limits.client_bytes else None
        client = self._clients[key] = ClientUsage(rate, pace)
        return client
