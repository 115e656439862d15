"""So many lines of one kind: what others can cause must not fill the disk, nor hide what else is said."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from cachetools import LRUCache

from blockstore.common.token_bucket import TokenBucket
from node.log.line_format import LEFT_OUT

BURST = 20
"""Lines that one place in the code may write at once."""

PERIOD = 60.0
"""Seconds until it may write the next one after that."""

SUBJECT = "subject"
"""The attribute of a record that says whom it is about, where one must not hide what is said of another."""

_PLACES = 1024  # that are remembered, with their subjects


Key = tuple[str, int, str]
"""File, line, subject."""


class LineRate(logging.Filter):
    """Lets a burst through, then one line a period; that one says how many were left out before it.

    Lines are of one kind when one place in the code wrote them, about one SUBJECT where they name any.
    Debugging is never limited: it was asked for.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()  # records come from several threads
        self._places: LRUCache[Key, _Place] = LRUCache(_PLACES)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG:
            return True
        with self._lock:
            key = record.pathname, record.lineno, getattr(record, SUBJECT, "")
            place = self._places.setdefault(key, _Place())
            if place.bucket.take(1, self._now()):
                place.left_out += 1
                return False
            setattr(record, LEFT_OUT, place.left_out)
            place.left_out = 0
            return True


class _Place:
    __slots__ = ("bucket", "left_out")

    def __init__(self) -> None:
        self.bucket = TokenBucket(1 / PERIOD, BURST)
        self.left_out = 0
