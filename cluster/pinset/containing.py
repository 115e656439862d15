"""A forked log is taken out of the documents: one step, and what it leaves on the disk."""

from __future__ import annotations

from cluster.common.cooperative import TimeSlice
from cluster.pinset.containment import DONE, ContainmentStep, ForkedLog, SharedClocks, next_step
from cluster.pinset.log.batch import AuthorLog, SignedBatch
from cluster.pinset.log.fork import place_fact
from cluster.pinset.replica_parts import ReplicaParts


class Containing:
    """Inside the replica's turn. A step whose fate is not known ends our own epoch."""

    def __init__(self, parts: ReplicaParts) -> None:
        self._local, self._store, self._heads = parts.local, parts.store, parts.heads
        self._documents, self._own, self._committing = parts.documents, parts.own, parts.committing

    async def contain(self, log: AuthorLog, rewriting: bool, shared: SharedClocks) -> SignedBatch | None:
        """Replica.contain."""
        time_slice = self._local.slices()
        place = (await self._store.facts()).get(place_fact(log), b"")
        forked = ForkedLog(log, self._heads.forks[log], place, self._heads.void, shared)
        step = await next_step(forked, self._store, self._own.log.client, rewriting, time_slice)
        try:
            signed = await self._finish(log, step, time_slice)
        except BaseException:
            self._own.begin_epoch()
            raise
        self._documents.forget(step.transaction.documents)
        if step.place == DONE:
            self._heads.fork(log, forked.sequence, contained=True)
        return signed

    async def _finish(
        self, log: AuthorLog, step: ContainmentStep, time_slice: TimeSlice
    ) -> SignedBatch | None:
        transaction, stamp = step.transaction, self._local.clock.tick()
        signed = self._own.sign(transaction, stamp) if transaction.updates else None
        facts = {place_fact(log): step.place, **self._own.stamp()}
        outcome = await transaction.outcome_whole(facts, time_slice)
        await self._committing.finish(outcome, transaction.heads, transaction.hashes)
        return signed
