"""What was refused, by reason: counted each time, told in the log once an hour."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from time import monotonic

_AGAIN = 3600.0  # seconds until the same is told again
_log = logging.getLogger(__name__)


class BulkRefusal(StrEnum):
    """Why a connection, a request or a block was refused."""

    HANDSHAKE = "handshake"  # no TLS, or a certificate of another cluster, or one that has expired
    STRANGER = "no member"  # the right secret, and a key that is not on the member list (any more)
    WRONG_KEY = "wrong key"  # another peer answers than the one that was meant
    TOO_MANY = "too many"  # connections or requests of one member, or of all
    BAD_REQUEST = "bad request"
    BAD_ANSWER = "bad answer"
    WRONG_BYTES = "wrong bytes"  # that are not the block


class Refusals:
    """Counts for as long as the node runs."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._counts: Counter[BulkRefusal] = Counter()
        self._told: dict[BulkRefusal, float] = {}

    def add(self, reason: BulkRefusal, about: str) -> None:
        """`about`: who did what, for the log."""
        self._counts[reason] += 1
        now = self._now()
        fresh = now - self._told.get(reason, -_AGAIN) >= _AGAIN
        if fresh:
            self._told[reason] = now
        told = logging.INFO if reason is BulkRefusal.STRANGER else logging.WARNING  # it may be one that joins
        level = told if fresh else logging.DEBUG
        _log.log(level, "bulk between members: refused (%s): %s", reason.value, about)

    def counts(self) -> Mapping[str, int]:
        """By the reason's text."""
        return {reason.value: count for reason, count in sorted(self._counts.items())}
