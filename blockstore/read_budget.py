"""The memory that all who read ahead share: the more readers, the less each of them prefetches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Share = Callable[[], int]
"""Bytes that one reader may hold at present; it may always hold the one block that it needs next."""

TOTAL_BYTES = 64 * 1024 * 1024
MAX_SHARE = 16 * 1024 * 1024
MIN_SHARE = 1024 * 1024
"""A share below this is for one block at a time: what the next step needs is read when it is asked for."""


class ReadBudget:
    """`total` bytes, in equal shares; a node has one, over all that is read from it."""

    def __init__(self, total: int = TOTAL_BYTES) -> None:
        self._total = total
        self._readers = 0

    def __repr__(self) -> str:
        return f"<ReadBudget {self._total} bytes for {self._readers} readers>"

    @contextmanager
    def reading(self) -> Iterator[Share]:
        """Be one of the readers for the length of the block of code."""
        self._readers += 1
        try:
            yield self._share
        finally:
            self._readers -= 1

    def _share(self) -> int:
        return min(MAX_SHARE, self._total // max(self._readers, 1))
