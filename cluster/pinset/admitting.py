"""Batches of other members: read, bounded, held against what is here, and applied in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from cluster.common.cooperative import TimeSlice
from cluster.errors import BadUpdate
from cluster.pinset.adoption import Adoption
from cluster.pinset.changes import Verdict
from cluster.pinset.foreign_batch import ForeignBatch, UnusableBatch, read_foreign, touched_by
from cluster.pinset.log.batch import AuthorLog, Batch, SignedBatch
from cluster.pinset.replica_parts import ReplicaParts
from cluster.pinset.tables.live_entries import LiveEntries, MemberQuota, OverQuota, sum_live
from cluster.pinset.transaction import Transaction

_log = logging.getLogger(__name__)


class Admitting:
    """Inside the replica's turn. Documents of a transaction that fails are forgotten."""

    def __init__(self, parts: ReplicaParts, adoption: Adoption, quota: MemberQuota) -> None:
        self._local, self._store, self._heads = parts.local, parts.store, parts.heads
        self._documents, self._own, self._committing = parts.documents, parts.own, parts.committing
        self._adoption = adoption
        self._quota = quota

    async def admit(self, batches: Sequence[SignedBatch]) -> list[Verdict]:
        """Replica.admit."""
        decided: dict[int, Verdict] = {}
        while True:
            try:
                return await self._try(batches, decided)
            except UnusableBatch as error:
                refused = next(i for i, signed in enumerate(batches) if signed.batch is error.batch)
                decided[refused] = Verdict.REFUSED
            except OverQuota as error:
                over = (i for i, signed in enumerate(batches) if signed.batch.log.author in error.authors)
                decided |= dict.fromkeys(over, Verdict.PAUSED)

    async def _try(self, batches: Sequence[SignedBatch], decided: Mapping[int, Verdict]) -> list[Verdict]:
        time_slice = self._local.slices()
        read = [
            None if index in decided else await self._read(signed.batch, time_slice)
            for index, signed in enumerate(batches)
        ]
        touched = await touched_by((one for one in read if one is not None), time_slice)
        opened = await self._documents.open(touched, self._own.log.client, time_slice)
        transaction = Transaction(opened.documents)
        try:
            verdicts = [
                decided.get(index) or await self._admit_one(transaction, signed, foreign, time_slice)
                for index, (signed, foreign) in enumerate(zip(batches, read, strict=True))
            ]
            await self._commit(transaction, time_slice)
        except BaseException:
            self._documents.forget(transaction.documents)
            raise
        return verdicts

    async def _read(self, batch: Batch, time_slice: TimeSlice) -> ForeignBatch | None:
        """None of one that breaks the rules; without updates when it is here already."""
        if batch.sequence <= self._heads.of(batch.log):
            return ForeignBatch(batch, (), {})
        try:
            return await read_foreign(batch, self._local.genesis, time_slice, self._heads.void)
        except BadUpdate as error:
            _refuse(batch, error)
            return None

    async def _admit_one(
        self,
        transaction: Transaction,
        signed: SignedBatch,
        foreign: ForeignBatch | None,
        time_slice: TimeSlice,
    ) -> Verdict:
        batch = signed.batch
        place = self._place_of(transaction, batch)
        if place is not Verdict.APPLIED:
            return place
        if foreign is None:
            return Verdict.REFUSED
        try:
            if foreign.is_early(transaction, tolerant=self._adoption.may_hold(batch)):
                return Verdict.EARLY
        except BadUpdate as error:
            _refuse(batch, error)
            return Verdict.REFUSED
        await foreign.apply(transaction, time_slice)
        transaction.add_batch(signed)
        self._local.clock.observe(batch.stamp)
        return Verdict.APPLIED

    def _place_of(self, transaction: Transaction, batch: Batch) -> Verdict:
        """Whether it is the next one of its log (APPLIED), or why it is none."""
        heads = self._heads
        head = transaction.heads.get(batch.log, heads.of(batch.log))
        if batch.sequence <= head or batch.sequence >= heads.forks.get(batch.log, batch.sequence + 1):
            return Verdict.KNOWN
        if batch.sequence > head + 1:
            return Verdict.EARLY
        before = transaction.hashes.get(batch.log, heads.hash_of(batch.log))
        return Verdict.FORKED if batch.prev and before and batch.prev != before else Verdict.APPLIED

    async def _commit(self, transaction: Transaction, time_slice: TimeSlice) -> None:
        """Raises OverQuota."""
        if transaction.batches:
            outcome = await transaction.outcome(self._own.stamp(), time_slice)
            if self._quota:
                self._check_quota(transaction.heads, outcome.commit.live)
            await self._committing.finish(outcome, transaction.heads, transaction.hashes)

    def _check_quota(self, heads: Mapping[AuthorLog, int], changes: Mapping[int, LiveEntries]) -> None:
        """Raises OverQuota for other authors of these heads that would hold more than they may."""
        over = set()
        for author in {log.author for log in heads} - {self._local.peer}:
            clients = self._heads.clients(author) | {log.client for log in heads if log.author == author}
            if self._quota.forbids(self._store.live.of(clients), sum_live(changes, clients)):
                over.add(author)
        if over:
            raise OverQuota(frozenset(over))


def _refuse(batch: Batch, error: BadUpdate) -> None:
    _log.warning("batch %d of %s is refused: %s", batch.sequence, batch.log.author, error)
