"""Documents in memory: an LRU cache, loaded on demand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from cluster.common.cooperative import TimeSlice
from cluster.pinset.document import Document
from cluster.pinset.rows import DocumentChange
from cluster.pinset.store import PinsetStore

CACHED_DOCUMENTS = 256  # of the many that exist, few are touched twice in a row
_MIN_UPDATES = 16  # before a snapshot is worth writing


class OpenDocument:
    """A loaded document, and how much of its stored form is snapshot and how much are updates since."""

    __slots__ = ("_snapshot_bytes", "_update_bytes", "_updates", "content", "number")

    def __init__(self, number: int, client: int, snapshot: bytes, updates: Sequence[bytes]) -> None:
        self.number = number
        self.content = Document(client, (state for state in (snapshot, *updates) if state))
        self._snapshot_bytes = len(snapshot)
        self._update_bytes = sum(map(len, updates))
        self._updates = len(updates)

    def store(self, updates: Sequence[bytes]) -> DocumentChange:
        """What to write for these updates, applied already: they are appended, or all becomes a snapshot."""
        position = self._updates
        self._updates += len(updates)
        self._update_bytes += sum(map(len, updates))
        snapshot = None
        if self._updates >= _MIN_UPDATES and self._update_bytes > self._snapshot_bytes // 2:
            snapshot = self.content.state()
            self._snapshot_bytes, self._update_bytes, self._updates = len(snapshot), 0, 0
        return DocumentChange(self.number, halves(self.content.digest()), position, tuple(updates), snapshot)

    def store_whole(self) -> DocumentChange:
        """What to write to replace all that is stored of it."""
        return DocumentChange(self.number, halves(self.content.digest()), 0, (), self.content.state())


def halves(digest: bytes) -> tuple[int, int]:
    """A digest as two integers of 40 bits: SQLite sums 2^20 of them without overflow."""
    return int.from_bytes(digest[:5]), int.from_bytes(digest[5:10])


class DocumentCache:
    """The documents of one pinset. One that was changed is to be stored, or forgotten when that failed."""

    def __init__(self, store: PinsetStore, limit: int = CACHED_DOCUMENTS) -> None:
        self._store = store
        self._limit = limit
        self._open: OrderedDict[int, OpenDocument] = OrderedDict()

    async def load(
        self, numbers: Iterable[int], client: int, time_slice: TimeSlice
    ) -> dict[int, OpenDocument]:
        """All of these, from memory or disk; new ones write as `client`."""
        wanted = sorted(set(numbers))
        missing = [number for number in wanted if number not in self._open]
        if missing:
            for number, stored in zip(missing, await self._store.documents(missing), strict=True):
                self._open[number] = OpenDocument(number, client, stored.snapshot, stored.updates)
                await time_slice.yield_if_due()
        loaded = {}
        for number in wanted:
            self._open.move_to_end(number)
            loaded[number] = self._open[number]
        await self._trim(len(loaded), time_slice)
        return loaded

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop documents whose change did not reach the disk; the next use reads them from there."""
        for number in numbers:
            self._open.pop(number, None)

    def forget_all(self) -> None:
        self.forget(list(self._open))

    async def _trim(self, keep: int, time_slice: TimeSlice) -> None:
        while len(self._open) > max(self._limit, keep):
            self._open.popitem(last=False)
            await time_slice.yield_if_due()
