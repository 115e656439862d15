"""The end of every change: on the disk first, then in memory, then told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cluster.interfaces import PinChange
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.log.log_heads import NO_HASHES, NO_HEADS, LogHeads
from cluster.pinset.tables.store import PinsetStore
from cluster.pinset.transaction import Outcome

OnChanges = Callable[[Sequence[PinChange]], None]


class Committing:
    """`on_changes` hears of changes after they are durable."""

    def __init__(self, store: PinsetStore, heads: LogHeads, on_changes: OnChanges) -> None:
        self._store = store
        self._heads = heads
        self._on_changes = on_changes

    async def finish(
        self,
        outcome: Outcome,
        heads: Mapping[AuthorLog, int] = NO_HEADS,
        hashes: Mapping[AuthorLog, bytes] = NO_HASHES,
    ) -> None:
        """All or nothing; logs have come to these heads then."""
        await self._store.commit(outcome.commit)
        self._heads.advance(heads, hashes)
        self._on_changes(outcome.changes)
