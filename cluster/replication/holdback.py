"""The hold-back queue: batches that came before what they build on wait in memory, within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from cluster.pinset.log.batch import AuthorLog, SignedBatch

MAX_BYTES = 32 * 1024 * 1024
MAX_BYTES_PER_AUTHOR = 8 * 1024 * 1024
MAX_BATCHES = 1024


class HoldbackQueue:
    """The oldest go when there is no room: catching up brings them again.

    Some wait for ever: what they build on was lost with its author's disk before any other member had it.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_bytes_per_author: int = MAX_BYTES_PER_AUTHOR) -> None:
        self._held: dict[tuple[AuthorLog, int], SignedBatch] = {}  # in order of coming
        self._of: dict[AuthorLog, dict[int, SignedBatch]] = {}  # the same by log
        self._bytes: Counter[str] = Counter()  # of each author
        self._total = 0
        self._max_bytes = max_bytes
        self._max_bytes_per_author = max_bytes_per_author

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        return self._total

    def keep(self, signed: SignedBatch) -> None:
        """Idempotent."""
        log, sequence = signed.batch.log, signed.batch.sequence
        if (log, sequence) in self._held:
            return
        self._held[log, sequence] = self._of.setdefault(log, {})[sequence] = signed
        self._count(log.author, len(signed.envelope))
        while self._bytes[log.author] > self._max_bytes_per_author:
            self.drop(next(held for held in self._held.values() if held.batch.log.author == log.author))
        while self._total > self._max_bytes or len(self._held) > MAX_BATCHES:
            self.drop(next(iter(self._held.values())))

    def ready(self, head: Callable[[AuthorLog], int], most_updates: int = 4096) -> list[SignedBatch]:
        """The next batches of every log, as far as they are held; what is applied already is let go.

        Together they change about that many documents, each log at least one.
        """
        found: list[SignedBatch] = []
        share = max(most_updates // max(len(self._of), 1), 1)
        for log, held in list(self._of.items()):
            reached = head(log)
            for sequence in [sequence for sequence in held if sequence <= reached]:
                self.drop(held[sequence])
            updates = 0
            while (reached := reached + 1) in held and updates < share:
                found.append(held[reached])
                updates += len(held[reached].batch.updates) + 1
        return found

    def drop(self, signed: SignedBatch) -> None:
        """A missing one is fine."""
        log, sequence = signed.batch.log, signed.batch.sequence
        dropped = self._held.pop((log, sequence), None)
        if dropped is None:
            return
        del self._of[log][sequence]
        if not self._of[log]:
            del self._of[log]
        self._count(log.author, -len(dropped.envelope))

    def _count(self, author: str, size: int) -> None:
        self._total += size
        self._bytes[author] += size
        if not self._bytes[author]:
            del self._bytes[author]
