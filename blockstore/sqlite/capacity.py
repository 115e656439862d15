"""Room for blocks: the quota, the reserve of the disk, and the cached blocks that make way for others."""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from blockstore.common.size_text import size_text
from blockstore.disk.free_space import disk_free
from blockstore.errors import StorageFull, quota_reached
from blockstore.sqlite import cached_rows as cache
from blockstore.sqlite import file_pages, totals
from blockstore.sqlite.block_rows import INLINE, BlockRows

CACHE_SHARE = 0.25
"""Of the room for blocks, what cached blocks may take: those that came only to be read."""

_USES = 4096  # reads whose order is remembered until the cache is next changed
_RECENT = 16_384  # blocks read last, which are the last to be taken as garbage: some 2 MB


UNCOUNTED, SMALL_QUOTA = 4 * 1024 * 1024, 64 * 1024 * 1024
"""Bytes that an empty store and its log take, about: a quota that is small counts what is beyond that."""

_MEASURING = 100  # times as long as measuring takes, until it is done again
_TOLERATED = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """Blocks, their bytes, what counts for the quota, and what may come without anything making way."""

    blocks: int
    bytes: int
    counted: int
    room: int


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """`quota`: bytes on the disk; `reserve`: bytes of the disk that are left free (both 0 = no bound).

    `cache_share` (0 to 1) of that room is for cached blocks.
    """

    quota: int = 0
    reserve: int = 0
    cache_share: float = CACHE_SHARE


class StoreCapacity:
    """Of one file. What takes a connection runs on its thread, in a transaction if it changes."""

    def __init__(
        self,
        path: Path,
        limits: CapacityLimits,
        last_use: int,
        source: BlockRows = INLINE,
        free: Callable[[], int] | None = None,
    ) -> None:
        """`free`: bytes that may still be written, where that is not what the disk of `path` has."""
        self.limits = limits
        self.may_cache = last_use > 0
        """Whether a block of this file may be cached: until then nothing has to be claimed or noted."""
        self._path = path
        self._free = free or partial(disk_free, path)
        self._source = source
        self._last_use = last_use
        self._uses: deque[bytes] = deque(maxlen=_USES)
        self._untold = self._last_outside = 0
        self._measure_at = 0.0
        self._recent: OrderedDict[bytes, None] = OrderedDict()

    def note_use(self, names: Sequence[bytes]) -> None:
        """These blocks were read just now. From the event loop."""
        if self.may_cache:
            self._uses.extend(names)
        for name in names:
            self._recent[name] = None
            self._recent.move_to_end(name)
        while len(self._recent) > _RECENT:
            self._recent.popitem(last=False)

    def recent_uses(self) -> frozenset[bytes]:
        """Blocks that were read last, of all there are. From the event loop."""
        return frozenset(self._recent)

    def settle_uses(self, connection: sqlite3.Connection) -> None:
        """The order of the cache is what the reads so far make of it."""
        uses = [self._uses.popleft() for _ in range(len(self._uses))]
        cache.use(connection, uses, self._last_use + 1)
        self._last_use += len(uses)

    def claim(self, connection: sqlite3.Connection, rows: Iterable[int]) -> None:
        """These rows are not cached any more."""
        if self.may_cache:
            cache.claim(connection, rows)

    def measure(self, connection: sqlite3.Connection) -> Measured:
        blocks, size = totals.read(connection)
        counted = self._counted(connection, size)
        room = self._free() - self._reserve()
        room += file_pages.free_pages(connection) * file_pages.PAGE_BYTES
        if self.limits.quota:
            room = min(room, self.limits.quota - counted)
        return Measured(blocks, size, counted, max(0, room))

    def held(self, connection: sqlite3.Connection) -> int:
        """Bytes that the disk gives to the store. What no sum tells is counted from now on."""
        outside = self._outside()
        self._untold = max(0, outside - self._source.beside(connection) - self._source.freed(connection))
        pages = file_pages.all_pages(connection) * file_pages.PAGE_BYTES
        return pages + file_pages.log_size(self._path) + outside

    def _outside(self) -> int:
        """As measured a short while ago, where measuring takes long."""
        began = time.monotonic()
        if began >= self._measure_at:
            self._last_outside = self._source.measured()
            self._measure_at = time.monotonic() + _MEASURING * (time.monotonic() - began)
        return self._last_outside

    def _counted(self, connection: sqlite3.Connection, size: int) -> int:
        """What counts for the quota: the bytes of the disk, with what is freed and not given back yet."""
        pages = file_pages.all_pages(connection) - file_pages.free_pages(connection)
        freed = max(self._source.freed(connection), self._tolerated)
        outside = self._source.beside(connection) + freed + self._untold
        held = pages * file_pages.PAGE_BYTES + file_pages.log_size(self._path) + outside
        return max(size, held - UNCOUNTED if self.limits.quota < SMALL_QUOTA else held)

    @property
    def _tolerated(self) -> int:
        """Bytes that may be freed and not given back, so that each write need not wait for that."""
        return min(_TOLERATED, self.limits.quota // 16)

    def admit(self, connection: sqlite3.Connection, new: int) -> bool:
        """Make room for that many bytes; whether cached blocks made way.

        Raises StorageFull, while there is still room to say so.
        """
        new += self._log_growth(new)
        found = self.measure(connection)
        evicted = False
        if found.room < new <= found.room + cache.total(connection):
            while new > found.room and self.evict(connection, new - found.room):
                evicted, before = True, found.room
                found = self.measure(connection)
                if found.room <= before:
                    break  # it is freed, and not given back to the disk yet
        if new > found.room:
            raise self._full(found.counted, new)
        return evicted

    def _log_growth(self, new: int) -> int:
        """Blocks that lie in rows go through the log, which is part of what counts."""
        return new if self._source is INLINE and self.limits.quota >= SMALL_QUOTA else 0

    def admit_cached(self, connection: sqlite3.Connection, new: int) -> bool:
        """The same within the share of cached blocks. Raises StorageFull, also where it is above that."""
        found = self.measure(connection)
        share = int(self.limits.cache_share * (self.limits.quota or found.counted + found.room))
        if new > share:
            raise StorageFull(f"{size_text(new)} are more than the {size_text(share)} for what is only read")
        evicted = self.evict(connection, cache.total(connection) + new - share) > 0
        return self.admit(connection, new) or evicted

    def add_cached(
        self, connection: sqlite3.Connection, first: int, blocks: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """These blocks, in the rows from `first` on, are cached."""
        self._last_use += 1
        cache.add(connection, first, blocks, self._last_use)

    def _reserve(self) -> int:
        """What is in the log has to fit into the file as well, or the log could never be cut."""
        if self.limits.reserve >= file_pages.LOG_LIMIT:
            return self.limits.reserve
        return max(self.limits.reserve, file_pages.log_size(self._path))

    def evict(self, connection: sqlite3.Connection, need: int) -> int:
        """Let go of that many bytes of cached blocks, as far as there are any; bytes gone."""
        if need <= 0:
            return 0
        self.settle_uses(connection)
        return cache.evict(connection, self._source, need)

    def refusal(self, room: int, new: int) -> StorageFull:
        """The error of so many bytes where there is room for so many."""
        by_quota = self.limits.quota and new <= self._free() - self.limits.reserve
        return self._full(self.limits.quota - room if by_quota else 0, new)

    def _full(self, used: int, new: int) -> StorageFull:
        if self.limits.quota and used + new > self.limits.quota:
            return quota_reached(used, new, self.limits.quota)
        return StorageFull(
            f"not enough disk space: {size_text(new)} more do not fit; "
            f"{size_text(self._free())} are free, of which "
            f"{size_text(self.limits.reserve)} are kept in reserve; free some space, or lower the reserve"
        )
