"""Damaged documents made again: from the log, where it is whole, or from their rows."""

from __future__ import annotations

from collections.abc import Collection

from cluster.pinset.damage import find_damaged, grouped, rows_of
from cluster.pinset.document_cache import OpenDocument
from cluster.pinset.listed_pins import listed_in
from cluster.pinset.replay import replayed
from cluster.pinset.replica_parts import ReplicaParts
from cluster.pinset.tables.rows import Commit, batch_row
from cluster.pinset.transaction import Outcome, Transaction


class Rebuilding:
    """Inside the replica's turn."""

    def __init__(self, parts: ReplicaParts) -> None:
        self._local, self._store, self._heads = parts.local, parts.store, parts.heads
        self._documents, self._own, self._committing = parts.documents, parts.own, parts.committing

    async def find_damaged(self, numbers: Collection[int]) -> frozenset[int]:
        """Replica.find_damaged."""
        found = await find_damaged(self._store, sorted(numbers), self._local.slices())
        self._documents.damaged |= found
        return found

    async def from_log(self, numbers: frozenset[int]) -> bool:
        """Replica.rebuild."""
        if await self._store.is_cut() or self._heads.uncontained():
            return False
        time_slice, genesis = self._local.slices(), self._local.genesis
        lost = await listed_in(numbers, self._store, genesis, time_slice)
        self._documents.forget(numbers)
        client, void = self._own.log.client, self._heads.void
        transaction = await replayed(self._store, numbers, client, time_slice, void)
        await self._committing.finish(await transaction.outcome_of_replay(lost, genesis, time_slice))
        self._documents.remade(numbers)
        return True

    async def from_rows(self, numbers: Collection[int]) -> None:
        """Replica.write_again."""
        self._own.begin_epoch()  # what the lost documents had of this one is not known
        time_slice = self._local.slices()
        for number, values in (await rows_of(numbers, self._store, self._local.genesis, time_slice)).items():
            document = OpenDocument(number, self._own.log.client, b"", ())
            if not values:
                await self._store.commit(Commit((document.store_whole(),)))
            for group in grouped(values):
                transaction = Transaction({number: document})
                transaction.add(number, *document.content.write(group))
                self._own.sign(transaction, self._local.clock.tick())
                rows = tuple(map(batch_row, transaction.batches))
                commit = Commit((document.store_whole(),), rows, facts=self._own.stamp())
                await self._committing.finish(Outcome(commit, ()), transaction.heads, transaction.hashes)
        self._documents.remade(numbers)
