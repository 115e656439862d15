"""Batches that came before what they build on: kept a while, within bounds, in memory."""

from __future__ import annotations

from collections.abc import Callable

from cluster.batch import Log, SignedBatch

MAX_BYTES = 32 * 1024 * 1024
MAX_BYTES_PER_AUTHOR = 8 * 1024 * 1024
MAX_BATCHES = 1024


class HeldBatches:
    """What does not fit is not kept: catching up brings it again."""

    def __init__(self) -> None:
        self._held: dict[Log, dict[int, SignedBatch]] = {}
        self._bytes: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def keep(self, signed: SignedBatch) -> bool:
        """Whether it is held now."""
        batch, size = signed.batch, len(signed.envelope)
        if batch.sequence in self._held.get(batch.log, ()):
            return True
        author = self._bytes.get(batch.log.author, 0) + size
        total = sum(self._bytes.values()) + size
        if author > MAX_BYTES_PER_AUTHOR or total > MAX_BYTES or len(self) >= MAX_BATCHES:
            return False
        self._held.setdefault(batch.log, {})[batch.sequence] = signed
        self._bytes[batch.log.author] = author
        return True

    def ready(self, head: Callable[[Log], int]) -> list[SignedBatch]:
        """The next batch of every log, as far as it is held; what is applied already is let go."""
        found = []
        for log in list(self._held):
            for sequence in [number for number in self._held[log] if number <= head(log)]:
                self.drop(self._held[log][sequence])
            following = self._held.get(log, {}).get(head(log) + 1)
            if following is not None:
                found.append(following)
        return found

    def drop(self, signed: SignedBatch) -> None:
        batches = self._held.get(signed.batch.log, {})
        dropped = batches.pop(signed.batch.sequence, None)
        if dropped is not None:
            self._bytes[signed.batch.log.author] -= len(dropped.envelope)
        if not batches:
            self._held.pop(signed.batch.log, None)
