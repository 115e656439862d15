"""Room for blocks: the quota, the reserve of the disk, and the cached blocks that make way for others."""

from __future__ import annotations

import sqlite3
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


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """`quota`: bytes of all blocks; `reserve`: bytes of the disk that are left free (both 0 = no bound).

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

    def measure(self, connection: sqlite3.Connection) -> tuple[int, int, int]:
        """Blocks, their bytes, and the bytes that may still come without anything making way."""
        blocks, used = totals.read(connection)
        room = self._free() - self._reserve()
        room += file_pages.free_pages(connection) * file_pages.PAGE_BYTES
        if self.limits.quota:
            room = min(room, self.limits.quota - used)
        return blocks, used, max(0, room)

    def admit(self, connection: sqlite3.Connection, new: int) -> bool:
        """Make room for that many bytes; whether cached blocks made way.

        Raises StorageFull, while there is still room to say so.
        """
        _, used, room = self.measure(connection)
        evicted = False
        if room < new <= room + cache.total(connection):
            while new > room and self._evict(connection, new - room):
                evicted = True
                _, used, room = self.measure(connection)
        if new > room:
            raise self._full(used, new)
        return evicted

    def admit_cached(self, connection: sqlite3.Connection, new: int) -> bool:
        """The same within the share of cached blocks. Raises StorageFull, also where it is above that."""
        _, used, room = self.measure(connection)
        share = int(self.limits.cache_share * (self.limits.quota or used + room))
        if new > share:
            raise StorageFull(f"{size_text(new)} are more than the {size_text(share)} for what is only read")
        evicted = self._evict(connection, cache.total(connection) + new - share) > 0
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

    def _evict(self, connection: sqlite3.Connection, need: int) -> int:
        """Let go of that many bytes of cached blocks, as far as there are any; bytes gone."""
        if need <= 0:
            return 0
        self.settle_uses(connection)
        return cache.evict(connection, self._source, need)

    def _full(self, used: int, new: int) -> StorageFull:
        if self.limits.quota and used + new > self.limits.quota:
            return quota_reached(used, new, self.limits.quota)
        return StorageFull(
            f"not enough disk space: {size_text(new)} more do not fit; "
            f"{size_text(self._free())} are free, of which "
            f"{size_text(self.limits.reserve)} are kept in reserve; free some space, or lower the reserve"
        )
