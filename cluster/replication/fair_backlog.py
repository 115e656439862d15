"""The fair backlog: gossiped batches that wait to be applied, bounded, each author's in its turn."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

from cluster.pinset.log.batch import SignedBatch

MAX_BYTES = 16 * 1024 * 1024
MAX_BYTES_PER_AUTHOR = 4 * 1024 * 1024
"""Of batches; what is more is pulled when these are done."""

_OVERHEAD = 1024  # bytes that a batch takes beside its envelope, at least


@dataclass(frozen=True, slots=True)
class GossipedBatch:
    """A verified batch, and the peer that handed it on."""

    signed: SignedBatch
    forwarder: str

    @property
    def size(self) -> int:
        return len(self.signed.envelope) + _OVERHEAD


class FairBacklog:
    """One batch of each author in turn: who writes much waits for itself, and for no one else long."""

    def __init__(self, most: int = MAX_BYTES, most_per_author: int = MAX_BYTES_PER_AUTHOR) -> None:
        self._most = most
        self._most_per_author = most_per_author
        self._waiting: OrderedDict[str, deque[GossipedBatch]] = OrderedDict()  # whose turn it is first
        self._bytes: Counter[str] = Counter()
        self._filled = asyncio.Event()

    @property
    def bytes(self) -> int:
        return self._bytes.total()

    def put(self, batch: GossipedBatch) -> bool:
        """Whether there was room. One batch of each author always has some."""
        author = batch.signed.batch.log.author
        full = (
            self.bytes + batch.size > self._most or self._bytes[author] + batch.size > self._most_per_author
        )
        if full and author in self._waiting:
            return False
        self._waiting.setdefault(author, deque()).append(batch)
        self._bytes[author] += batch.size
        self._filled.set()
        return True

    async def take(self, most_updates: int) -> list[GossipedBatch]:
        """Those that are next, once there are any: as many as change that many documents, one at least."""
        await self._filled.wait()
        taken: list[GossipedBatch] = []
        updates = 0
        while self._waiting:
            author, waiting = next(iter(self._waiting.items()))
            updates += len(waiting[0].signed.batch.updates)
            if taken and updates > most_updates:
                return taken
            taken.append(waiting.popleft())
            self._has_had_its_turn(author, taken[-1].size)
        self._filled.clear()
        return taken

    def _has_had_its_turn(self, author: str, size: int) -> None:
        self._bytes[author] -= size
        self._waiting.move_to_end(author)
        if not self._waiting[author]:
            del self._waiting[author], self._bytes[author]
