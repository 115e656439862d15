"""The hold-back queue: batches that came before what they build on wait in memory, within bounds."""

from __future__ import annotations

from collections.abc import Callable

from cluster.pinset.batch import AuthorLog, SignedBatch

MAX_BYTES = 32 * 1024 * 1024
MAX_BYTES_PER_AUTHOR = 8 * 1024 * 1024
MAX_BATCHES = 1024


class HoldbackQueue:
    """The oldest go when there is no room: catching up brings them again.

    Some wait for ever: what they build on was lost with its author's disk before any other member had it.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_bytes_per_author: int = MAX_BYTES_PER_AUTHOR) -> None:
        self._held: dict[tuple[AuthorLog, int], SignedBatch] = {}  # in order of coming
        self._bytes: dict[str, int] = {}
        self._max_bytes = max_bytes
        self._max_bytes_per_author = max_bytes_per_author

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        return sum(self._bytes.values())

    def keep(self, signed: SignedBatch) -> None:
        """Idempotent."""
        self._held.setdefault((signed.batch.log, signed.batch.sequence), signed)
        author = signed.batch.log.author
        self._bytes[author] = sum(
            len(held.envelope) for held in self._held.values() if held.batch.log.author == author
        )
        while self._bytes.get(author, 0) > self._max_bytes_per_author:
            self.drop(next(held for held in self._held.values() if held.batch.log.author == author))
        while self.bytes > self._max_bytes or len(self._held) > MAX_BATCHES:
            self.drop(next(iter(self._held.values())))

    def ready(self, head: Callable[[AuthorLog], int]) -> list[SignedBatch]:
        """The next batch of every log, as far as it is held; what is applied already is let go."""
        for signed in list(self._held.values()):
            if signed.batch.sequence <= head(signed.batch.log):
                self.drop(signed)
        return [held for held in self._held.values() if held.batch.sequence == head(held.batch.log) + 1]

    def drop(self, signed: SignedBatch) -> None:
        """A missing one is fine."""
        dropped = self._held.pop((signed.batch.log, signed.batch.sequence), None)
        if dropped is not None:
            author = signed.batch.log.author
            self._bytes[author] -= len(dropped.envelope)
            if not self._bytes[author]:
                del self._bytes[author]
