"""This member's replica of the pinset: every change passes here, one at a time, and is made durable.

Own writes become a signed batch; foreign batches are read, bounded and gated. Either way one transaction
holds the documents' updates, the rows, the batch and the log's new head. Where that transaction fails, the
documents it touched are forgotten, so memory never runs ahead of the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.local_member import LocalMember
from cluster.common.serial_executor import SerialExecutor
from cluster.pinset.admitting import Admitting
from cluster.pinset.adoption import Adoption, Merge
from cluster.pinset.changes import PinWrite, Verdict, Written
from cluster.pinset.committing import Committing, OnChanges
from cluster.pinset.containing import Containing
from cluster.pinset.containment import DONE, SharedClocks
from cluster.pinset.document_cache import DocumentCache, Touched
from cluster.pinset.log.batch import AuthorLog, SignedBatch
from cluster.pinset.log.fork import Forks, place_fact
from cluster.pinset.log.log_heads import LogHeads
from cluster.pinset.log.snapshot_place import LogEnd, SnapshotPlace
from cluster.pinset.log.tolerance import Tolerance
from cluster.pinset.own_log import OwnLog
from cluster.pinset.rebuilding import Rebuilding
from cluster.pinset.replica_parts import ReplicaParts
from cluster.pinset.tables.live_entries import NO_QUOTA, LiveEntries, MemberQuota
from cluster.pinset.tables.rows import DigestSums, Head
from cluster.pinset.tables.store import PinsetStore
from cluster.pinset.transaction import Transaction
from cluster.pinset.write_plan import plan_writes

_PAGE = 4096  # heads read at once
_log = logging.getLogger(__name__)


class Replica:
    """The one writer of the pinset: its parts do what they are asked inside its turn, one at a time."""

    def __init__(self, parts: ReplicaParts, adoption: Adoption, quota: MemberQuota = NO_QUOTA) -> None:
        self._local, self._store, self._heads = parts.local, parts.store, parts.heads
        self._documents, self._own, self._committing = parts.documents, parts.own, parts.committing
        self._adoption = adoption
        self._admitting = Admitting(parts, adoption, quota)
        self._containing = Containing(parts)
        self._rebuilding = Rebuilding(parts)
        self._serial = SerialExecutor()

    @property
    def log(self) -> AuthorLog:
        """The log that our own batches go to."""
        return self._own.log

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
        return self._store.live.of(self._heads.clients(author))

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
        return await self._serial.run(lambda: self._admitting.admit(batches))

    async def begin_epoch(self) -> None:
        """Write under a new client id from now on: another member has more of this epoch than we have."""

        async def begin() -> None:
            self._own.begin_epoch()

        await self._serial.run(begin)

    async def stop_log(self, log: AuthorLog, sequence: int) -> None:
        """It is forked at that number, which is kept on disk: nothing more of it is taken from there on."""

        async def stop() -> None:
            self._heads.fork(log, sequence)
            if log == self._own.log:
                self._own.begin_epoch()

        await self._serial.run(stop)

    def uncontained(self) -> list[AuthorLog]:
        """Forked logs that `contain` has not come to the end of."""
        return self._heads.uncontained()

    async def contain(self, log: AuthorLog, *, rewriting: bool, shared: SharedClocks) -> SignedBatch | None:
        """One step of taking a forked log out of the documents; `rewriting` its pins as our own.

        Our batch, if there is one.
        """
        return await self._serial.run(lambda: self._containing.contain(log, rewriting, shared))

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
        return await self._serial.run(lambda: self._rebuilding.from_log(numbers))

    @property
    def damaged(self) -> frozenset[int]:
        """Documents that could not be read from the disk, until they are made again."""
        return self._documents.damaged

    async def digests(self, numbers: Collection[int]) -> Mapping[int, tuple[int, int]]:
        """What was written down of these documents."""
        return await self._store.snapshots.digests(sorted(numbers))

    async def find_damaged(self, numbers: Collection[int]) -> frozenset[int]:
        """Of these, documents that cannot be read, or are not what was written: they count as `damaged`."""
        return await self._serial.run(lambda: self._rebuilding.find_damaged(numbers))

    async def write_again(self, numbers: Collection[int]) -> None:
        """Make these documents again from their rows, as pins that we write: no other member has them."""
        await self._serial.run(lambda: self._rebuilding.from_rows(numbers))

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

    async def _write(self, writes: Sequence[PinWrite]) -> Written:
        time_slice, own = self._local.slices(), self._own
        touched = await self._touched_by(writes, time_slice)
        opened = await self._documents.open(touched, own.log.client, time_slice)
        stamp = self._local.clock.tick()
        transaction = Transaction(opened.documents, self._local.peer)
        numbers = {cid: number for number, cids in touched.cids.items() for cid in cids}
        plan = await plan_writes(writes, transaction, opened.pinned, numbers, stamp, time_slice)
        try:
            await plan.apply(transaction, time_slice)
            signed = own.sign(transaction, stamp) if transaction.updates else None
            if signed is not None:
                outcome = await transaction.outcome(own.stamp(), time_slice)
                await self._committing.finish(outcome, transaction.heads, transaction.hashes)
        except BaseException:
            # Whether the disk has it is not known for sure: these clocks are never used again.
            own.begin_epoch()
            raise
        return Written(plan.before, signed)

    async def _touched_by(self, writes: Sequence[PinWrite], time_slice: TimeSlice) -> Touched:
        cids: dict[int, list[CID]] = {}
        for write in writes:
            cids.setdefault(self._local.genesis.document_of(write.cid), []).append(write.cid)
            if time_slice.is_due:
                await time_slice.rest()
        new = {write.cid for write in writes if write.is_new}
        return Touched(cids, new=new.difference(write.cid for write in writes if not write.is_new))

    async def _begin_snapshot(self, ends: Sequence[LogEnd], logs: Mapping[AuthorLog, int]) -> SnapshotPlace:
        self._own.part_from(logs)
        return await self._adoption.begin(ends, logs)

    async def _merge(self, merge: Merge) -> int:
        if merge.afresh:
            self._own.begin_epoch()
        else:
            self._own.part_from(merge.logs)
        numbers = [document.number for document in merge.documents]
        self._documents.forget(numbers)
        changed = await self._adoption.merge(merge, self._own.log.client)
        if merge.afresh:
            self._documents.remade(numbers)
        return changed


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
    documents = DocumentCache(store)
    own, committing = OwnLog(local, known, documents), Committing(store, known, on_changes)
    return Replica(ReplicaParts(local, store, known, documents, own, committing), adoption, quota)
