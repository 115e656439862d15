"""This member's replica of the pinset: every change passes here, one at a time, and is made durable.

Own writes become a signed batch; foreign batches are read, bounded and gated. Either way one transaction
holds the documents' updates, the rows, the batch and the log's new head. Where that transaction fails, the
documents it touched are forgotten, so memory never runs ahead of the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.local_member import LocalMember
from cluster.common.serial_executor import SerialExecutor
from cluster.errors import BadUpdate
from cluster.interfaces import PinChange
from cluster.pinset.adoption import Adoption, Merge
from cluster.pinset.changes import PinWrite, Verdict, Written
from cluster.pinset.containment import DONE, ContainmentStep, ForkedLog, SharedClocks, next_step
from cluster.pinset.damage import find_damaged, grouped, rows_of
from cluster.pinset.document_cache import DocumentCache, OpenDocument, Touched
from cluster.pinset.foreign_batch import ForeignBatch, UnusableBatch, read_foreign, touched_by
from cluster.pinset.listed_pins import listed_in
from cluster.pinset.log.batch import AuthorLog, Batch, SignedBatch, new_epoch, sign
from cluster.pinset.log.fork import Forks, place_fact
from cluster.pinset.log.log_heads import NO_HASHES, NO_HEADS, LogHeads
from cluster.pinset.log.snapshot_place import LogEnd, SnapshotPlace
from cluster.pinset.log.tolerance import Tolerance
from cluster.pinset.replay import replayed
from cluster.pinset.tables.live_entries import NO_QUOTA, LiveEntries, MemberQuota, OverQuota, sum_live
from cluster.pinset.tables.rows import Commit, DigestSums, Head, batch_row
from cluster.pinset.tables.store import STAMP_FACT, PinsetStore
from cluster.pinset.transaction import Outcome, Transaction
from cluster.pinset.write_plan import plan_writes

OnChanges = Callable[[Sequence[PinChange]], None]
_PAGE = 4096  # heads read at once
_log = logging.getLogger(__name__)


class Replica:
    """The one writer of the pinset. `on_changes` hears of changes after they are durable."""

    def __init__(
        self,
        local: LocalMember,
        store: PinsetStore,
        heads: LogHeads,
        adoption: Adoption,
        on_changes: OnChanges,
        quota: MemberQuota = NO_QUOTA,
    ) -> None:
        self._local = local
        self._genesis = local.genesis
        self._store = store
        self._heads = heads
        self._on_changes = on_changes
        self._quota = quota
        self._documents = DocumentCache(store)
        self._serial = SerialExecutor()
        self._adoption = adoption
        self._log = AuthorLog(local.peer, new_epoch(local.chance))

    @property
    def log(self) -> AuthorLog:
        """The log that our own batches go to."""
        return self._log

    def head(self, log: AuthorLog) -> int:
        """The last batch of that log that is applied here; 0 before the first."""
        return self._heads.of(log)

    def heads(self) -> Mapping[AuthorLog, int]:
        """Every log that is known here, and the last of its batches that is applied."""
        return self._heads.all()

    def hash_of(self, log: AuthorLog) -> bytes:
        """Of the batch at that log's head; empty where it is not known."""
        return self._heads.hash_of(log)

    @property
    def forks(self) -> Forks:
        """Logs whose authors signed two batches under one number; nothing is taken of them from there on."""
        return self._heads.forks

    def live(self, author: str) -> LiveEntries:
        """What of that author's writing is live."""
        return self._store.live.of(self._clients(author))

    def heads_digest(self) -> bytes:
        """Equal on two members exactly when they have the same batches."""
        return self._heads.digest()

    async def write(self, writes: Sequence[PinWrite]) -> Written:
        """Make these durable, in order, as one batch of ours."""
        return await self._serial.run(lambda: self._write(writes))

    async def admit(self, batches: Sequence[SignedBatch]) -> list[Verdict]:
        """Apply foreign batches whose signatures were verified, in order, in one transaction.

        All of an author's are PAUSED where they would lead above its quota together: one alone may not.
        """
        return await self._serial.run(lambda: self._admit(batches))

    async def begin_epoch(self) -> None:
        """Write under a new client id from now on: another member has more of this epoch than we have."""
        await self._serial.run(self._begin_epoch)

    async def stop_log(self, log: AuthorLog, sequence: int) -> None:
        """It is forked at that number, which is kept on disk: nothing more of it is taken from there on."""

        async def stop() -> None:
            self._heads.fork(log, sequence)
            if log == self._log:
                await self._begin_epoch()

        await self._serial.run(stop)

    def uncontained(self) -> list[AuthorLog]:
        """Forked logs that `contain` has not come to the end of."""
        return self._heads.uncontained()

    async def contain(self, log: AuthorLog, *, rewriting: bool, shared: SharedClocks) -> SignedBatch | None:
        """One step of taking a forked log out of the documents; `rewriting` its pins as our own.

        Our batch, if there is one.
        """
        return await self._serial.run(lambda: self._contain(log, rewriting, shared))

    async def digest_sums(self, first: int, last: int, shift: int) -> tuple[bytes, DigestSums]:
        """PinsetStore.digest_sums, and the digest of the heads that they belong to.

        That is empty, which equals no member's, while an earlier release's digests are not all replaced.
        """

        async def sums() -> tuple[bytes, DigestSums]:
            heads = self.heads_digest() if self._store.is_comparable else b""
            return heads, await self._store.digest_sums(first, last, shift)

        return await self._serial.run(sums)

    async def rebuild(self, numbers: frozenset[int]) -> bool:
        """Make these documents and their rows again from the signed log.

        False, with nothing done, where the log is cut: what is left of it does not make a document.
        """
        return await self._serial.run(lambda: self._rebuild(numbers))

    @property
    def damaged(self) -> frozenset[int]:
        """Documents that could not be read from the disk, until they are made again."""
        return self._documents.damaged

    async def digests(self, numbers: Collection[int]) -> Mapping[int, tuple[int, int]]:
        """What was written down of these documents."""
        return await self._store.snapshots.digests(sorted(numbers))

    async def find_damaged(self, numbers: Collection[int]) -> frozenset[int]:
        """Of these, documents that cannot be read, or are not what was written: they count as `damaged`."""

        async def find() -> frozenset[int]:
            found = await find_damaged(self._store, sorted(numbers), self._local.slices())
            self._documents.damaged |= found
            return found

        return await self._serial.run(find)

    async def write_again(self, numbers: Collection[int]) -> None:
        """Make these documents again from their rows, as pins that we write: no other member has them."""
        await self._serial.run(lambda: self._write_again(numbers))

    @property
    def snapshot_place(self) -> SnapshotPlace | None:
        """How far the snapshot has come that is under way here."""
        return self._adoption.place

    def tolerated(self) -> Mapping[AuthorLog, int]:
        """Logs that documents may be ahead of, and how far."""
        return self._adoption.tolerated()

    async def merge(self, merge: Merge) -> int:
        """Join documents of a trusted member with ours, in one transaction: how many that changed.

        Raises BadUpdate, DamagedDocument.
        """
        return await self._serial.run(lambda: self._merge(merge))

    async def begin_snapshot(self, ends: Sequence[LogEnd], logs: Mapping[AuthorLog, int]) -> SnapshotPlace:
        """Where the snapshot of a donor that has come so far begins, or goes on. `logs` as in Merge."""
        return await self._serial.run(lambda: self._begin_snapshot(ends, logs))

    async def end_snapshot(self) -> None:
        """All documents of the donor are here: so is what its log had when the snapshot began."""
        await self._serial.run(self._adoption.end)

    async def idle(self) -> None:
        """Wait for work whose callers have gone away."""
        await self._serial.idle()

    async def _begin_epoch(self) -> None:
        self._log = AuthorLog(self._local.peer, new_epoch(self._local.chance))
        self._documents.forget_all()

    async def _write(self, writes: Sequence[PinWrite]) -> Written:
        time_slice = self._local.slices()
        touched = await self._touched_by(writes, time_slice)
        opened = await self._documents.open(touched, self._log.client, time_slice)
        transaction, stamp = Transaction(opened.documents), self._local.clock.tick()
        plan = await plan_writes(writes, transaction, opened.pinned, self._genesis, stamp, time_slice)
        try:
            await plan.apply(transaction, time_slice)
            signed = self._sign(transaction, stamp) if transaction.updates else None
            await self._commit(transaction, time_slice)
        except BaseException:
            # Whether the disk has it is not known for sure: these clocks are never used again.
            await self._begin_epoch()
            raise
        return Written(plan.before, signed)

    async def _contain(self, log: AuthorLog, rewriting: bool, shared: SharedClocks) -> SignedBatch | None:
        time_slice = self._local.slices()
        place = (await self._store.facts()).get(place_fact(log), b"")
        forked = ForkedLog(log, self.forks[log], place, self._heads.void, shared)
        step = await next_step(forked, self._store, self._log.client, rewriting, time_slice)
        try:
            signed = await self._finish_step(log, step, time_slice)
        except BaseException:
            await self._begin_epoch()
            raise
        self._documents.forget(step.transaction.documents)
        if step.place == DONE:
            self._heads.fork(log, forked.sequence, contained=True)
        return signed

    async def _finish_step(
        self, log: AuthorLog, step: ContainmentStep, time_slice: TimeSlice
    ) -> SignedBatch | None:
        transaction, stamp = step.transaction, self._local.clock.tick()
        signed = self._sign(transaction, stamp) if transaction.updates else None
        facts = {place_fact(log): step.place, STAMP_FACT: self._local.clock.last.to_bytes(8)}
        outcome = await transaction.outcome_whole(facts, time_slice)
        await self._finish(outcome, transaction.heads, transaction.hashes)
        return signed

    async def _touched_by(self, writes: Sequence[PinWrite], time_slice: TimeSlice) -> Touched:
        cids: dict[int, list[CID]] = {}
        for write in writes:
            cids.setdefault(self._genesis.document_of(write.cid), []).append(write.cid)
            if time_slice.is_due:
                await time_slice.rest()
        new = {write.cid for write in writes if write.is_new}
        return Touched(cids, new=new.difference(write.cid for write in writes if not write.is_new))

    def _sign(self, transaction: Transaction, stamp: int) -> SignedBatch:
        updates = tuple((number, parts[0]) for number, parts in sorted(transaction.updates.items()))
        prev = self._heads.hash_of(self._log)
        batch = Batch(self._log, self.head(self._log) + 1, stamp, updates, prev)
        signed = sign(batch, self._local.cluster_id, self._local.signer)
        transaction.add_batch(signed)
        return signed

    async def _admit(self, batches: Sequence[SignedBatch]) -> list[Verdict]:
        decided: dict[int, Verdict] = {}
        while True:
            try:
                return await self._try_admitting(batches, decided)
            except UnusableBatch as error:
                refused = next(i for i, signed in enumerate(batches) if signed.batch is error.batch)
                decided[refused] = Verdict.REFUSED
            except OverQuota as error:
                over = (i for i, signed in enumerate(batches) if signed.batch.log.author in error.authors)
                decided |= dict.fromkeys(over, Verdict.PAUSED)

    async def _try_admitting(
        self, batches: Sequence[SignedBatch], decided: Mapping[int, Verdict]
    ) -> list[Verdict]:
        time_slice = self._local.slices()
        read = [
            None if index in decided else await self._read(signed.batch, time_slice)
            for index, signed in enumerate(batches)
        ]
        touched = await touched_by((one for one in read if one is not None), time_slice)
        opened = await self._documents.open(touched, self._log.client, time_slice)
        transaction = Transaction(opened.documents)
        try:
            verdicts = [
                decided.get(index) or await self._admit_one(transaction, signed, foreign, time_slice)
                for index, (signed, foreign) in enumerate(zip(batches, read, strict=True))
            ]
            await self._commit(transaction, time_slice, self._quota)
        except BaseException:
            self._documents.forget(transaction.documents)
            raise
        return verdicts

    async def _read(self, batch: Batch, time_slice: TimeSlice) -> ForeignBatch | None:
        """None of one that breaks the rules; without updates when it is here already."""
        if batch.sequence <= self.head(batch.log):
            return ForeignBatch(batch, (), {})
        try:
            return await read_foreign(batch, self._genesis, time_slice, self._heads.void)
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
        head = transaction.heads.get(batch.log, self.head(batch.log))
        if batch.sequence <= head or batch.sequence >= self.forks.get(batch.log, batch.sequence + 1):
            return Verdict.KNOWN
        if batch.sequence > head + 1:
            return Verdict.EARLY
        before = transaction.hashes.get(batch.log, self.hash_of(batch.log))
        if batch.prev and before and batch.prev != before:
            return Verdict.FORKED
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

    async def _rebuild(self, numbers: frozenset[int]) -> bool:
        if await self._store.is_cut() or self.uncontained():
            return False
        time_slice = self._local.slices()
        lost = await listed_in(numbers, self._store, self._genesis, time_slice)
        self._documents.forget(numbers)
        void = self._heads.void
        transaction = await replayed(self._store, numbers, self._log.client, time_slice, void)
        await self._finish(await transaction.outcome_of_replay(lost, self._genesis, time_slice))
        self._documents.remade(numbers)
        return True

    async def _write_again(self, numbers: Collection[int]) -> None:
        await self._begin_epoch()  # what the lost documents had of this one is not known
        time_slice = self._local.slices()
        for number, values in (await rows_of(numbers, self._store, self._genesis, time_slice)).items():
            document = OpenDocument(number, self._log.client, b"", ())
            if not values:
                await self._store.commit(Commit((document.store_whole(),)))
            for group in grouped(values):
                transaction = Transaction({number: document})
                transaction.add(number, *document.content.write(group))
                self._sign(transaction, self._local.clock.tick())
                rows = tuple(map(batch_row, transaction.batches))
                commit = Commit((document.store_whole(),), rows, facts=self._stamp())
                await self._finish(Outcome(commit, ()), transaction.heads, transaction.hashes)
        self._documents.remade(numbers)

    def _stamp(self) -> Mapping[str, bytes]:
        return {STAMP_FACT: self._local.clock.last.to_bytes(8)}

    async def _begin_snapshot(self, ends: Sequence[LogEnd], logs: Mapping[AuthorLog, int]) -> SnapshotPlace:
        await self._part_from(logs)
        return await self._adoption.begin(ends, logs)

    async def _part_from(self, logs: Mapping[AuthorLog, int]) -> None:
        if logs.get(self._log, 0) > self.head(self._log):
            await self._begin_epoch()

    async def _merge(self, merge: Merge) -> int:
        await (self._begin_epoch() if merge.afresh else self._part_from(merge.logs))
        numbers = [document.number for document in merge.documents]
        self._documents.forget(numbers)
        changed = await self._adoption.merge(merge, self._log.client)
        if merge.afresh:
            self._documents.remade(numbers)
        return changed

    async def _commit(
        self, transaction: Transaction, time_slice: TimeSlice, quota: MemberQuota = NO_QUOTA
    ) -> None:
        """Raises OverQuota."""
        if transaction.batches:
            outcome = await transaction.outcome(self._stamp(), time_slice)
            if quota:
                self._check_quota(quota, transaction.heads, outcome.commit.live)
            await self._finish(outcome, transaction.heads, transaction.hashes)

    def _check_quota(
        self, quota: MemberQuota, heads: Mapping[AuthorLog, int], changes: Mapping[int, LiveEntries]
    ) -> None:
        """Raises OverQuota for other authors of these heads that would hold more than they may."""
        over = set()
        for author in {log.author for log in heads} - {self._local.peer}:
            clients = self._clients(author) | {log.client for log in heads if log.author == author}
            if quota.forbids(self._store.live.of(clients), sum_live(changes, clients)):
                over.add(author)
        if over:
            raise OverQuota(frozenset(over))

    def _clients(self, author: str) -> set[int]:
        return {log.client for log in self._heads.all() if log.author == author}

    async def _finish(
        self,
        outcome: Outcome,
        heads: Mapping[AuthorLog, int] = NO_HEADS,
        hashes: Mapping[AuthorLog, bytes] = NO_HASHES,
    ) -> None:
        await self._store.commit(outcome.commit)
        self._heads.advance(heads, hashes)
        self._on_changes(outcome.changes)


def _refuse(batch: Batch, error: BadUpdate) -> None:
    _log.warning("batch %d of %s is refused: %s", batch.sequence, batch.log.author, error)


async def open_replica(
    store: PinsetStore, local: LocalMember, on_changes: OnChanges, quota: MemberQuota = NO_QUOTA
) -> Replica:
    """The replica as the store left it, with a new epoch for what will be written."""
    heads: list[Head] = []
    while page := await store.heads(heads[-1].arrival if heads else 0, _PAGE):
        heads += page
    sequences = {head.log: head.sequence for head in heads}
    known = LogHeads(sequences, {head.log: head.hash for head in heads})
    facts = await store.facts()
    for log, sequence in (await store.forks.forks()).items():
        known.fork(log, sequence, contained=facts.get(place_fact(log)) == DONE)
    tolerance, place = Tolerance(await store.snapshots.tolerated()), await store.snapshots.place()
    adoption = Adoption(local, store, known, tolerance, place, on_changes)
    return Replica(local, store, known, adoption, on_changes, quota)
