"""Documents of a trusted member joined with ours: a join of CRDTs, in any order and as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from cluster.common.cooperative import TimeSlice
from cluster.common.local_member import LocalMember
from cluster.interfaces import PinChange
from cluster.pinset.document_cache import OpenDocument
from cluster.pinset.documents.foreign_document import ForeignDocument
from cluster.pinset.listed_pins import listed_in
from cluster.pinset.log.batch import AuthorLog, Batch
from cluster.pinset.log.log_heads import LogHeads
from cluster.pinset.log.snapshot_place import LogEnd, SnapshotPlace
from cluster.pinset.log.tolerance import Tolerance
from cluster.pinset.replay import replay_onto
from cluster.pinset.tables.store import STAMP_FACT, PinsetStore
from cluster.pinset.transaction import Outcome
from cluster.pinset.whole_transaction import WholeTransaction


@dataclass(frozen=True, slots=True)
class Merge:
    """Documents to join with ours.

    `logs` is what their member may have had in them: further batches up to there may be in them already.
    `following` is the document after them, when they are of a snapshot. `afresh`: ours are damaged, and made
    again from these and from what our own log has beyond them.
    """

    documents: Sequence[ForeignDocument]
    logs: Mapping[AuthorLog, int]
    following: int | None = None
    afresh: bool = False

    def without(self, void: Set[int]) -> Merge:
        """The same without what clients of forked logs wrote."""
        if not void:
            return self
        return replace(self, documents=[document.without(void) for document in self.documents])

    @property
    def newest_stamp(self) -> int:
        return max((document.newest_stamp for document in self.documents), default=0)


class Adoption:
    """Takes documents in, inside the replica's turn: each join is one transaction."""

    def __init__(
        self,
        local: LocalMember,
        store: PinsetStore,
        heads: LogHeads,
        tolerance: Tolerance,
        place: SnapshotPlace | None,
        on_changes: Callable[[Sequence[PinChange]], None],
    ) -> None:
        self._local = local
        self._store = store
        self._heads = heads
        self._tolerance = tolerance
        self.place = place
        self._on_changes = on_changes

    def may_hold(self, batch: Batch) -> bool:
        """Whether documents may hold that batch already, though its log has not come to it."""
        return self._tolerance.covers(batch.log, batch.sequence)

    async def begin(self, ends: Sequence[LogEnd], logs: Mapping[AuthorLog, int]) -> SnapshotPlace:
        """Replica.begin_snapshot."""
        place = (self.place or SnapshotPlace()).with_donor(ends)
        tolerated = self._not_applied(logs)
        await self._store.snapshots.begin(place, tolerated)
        self._tolerance.widen(tolerated)
        self.place = place
        return place

    async def merge(self, merge: Merge, client: int) -> int:
        """Replica.merge; new documents write as `client`."""
        time_slice = self._local.slices()
        void = self._heads.void
        transaction = await _joined(self._store, merge.without(void), client, time_slice, void)
        self._local.clock.observe(merge.newest_stamp)
        outcome = await self._outcome_of(merge, transaction, time_slice)
        tolerated = self._not_applied(merge.logs)
        self._tolerance.widen(tolerated)  # first: who reads these documents from us is to hear of it
        await self._store.snapshots.merge(outcome.commit, tolerated, merge.following)
        if self.place is not None and merge.following is not None:
            self.place = replace(self.place, next=merge.following)
        self._on_changes(outcome.changes)
        return len(outcome.commit.documents)

    async def end(self) -> None:
        """Replica.end_snapshot."""
        place = self.place
        if place is not None:
            await self._store.snapshots.end(place.floor)
            self.place = None
            raised = [end for end in place.floor if end.sequence > self._heads.of(end.log)]
            hashes = {end.log: end.hash for end in raised}
            self._heads.advance({end.log: end.sequence for end in raised}, hashes)

    async def _outcome_of(
        self, merge: Merge, transaction: WholeTransaction, time_slice: TimeSlice
    ) -> Outcome:
        genesis = self._local.genesis
        facts = {STAMP_FACT: self._local.clock.last.to_bytes(8)}
        if not merge.afresh:
            return await transaction.outcome_of_merge(facts, time_slice)
        lost = await listed_in(transaction.documents.keys(), self._store, genesis, time_slice)
        return await transaction.outcome_of_replay(lost, genesis, time_slice)

    def tolerated(self) -> Mapping[AuthorLog, int]:
        """Replica.tolerated."""
        return self._tolerance.ahead_of(self._heads.of)

    def _not_applied(self, logs: Mapping[AuthorLog, int]) -> Mapping[AuthorLog, int]:
        above = self._tolerance.above(logs)
        return {log: sequence for log, sequence in above.items() if sequence > self._heads.of(log)}


async def _joined(
    store: PinsetStore, merge: Merge, client: int, time_slice: TimeSlice, void: Set[int]
) -> WholeTransaction:
    """Of those that it changes. Raises BadUpdate, DamagedDocument."""
    transaction = WholeTransaction(await _opened(store, merge, client, time_slice))
    for document in merge.documents:
        before = transaction.opened[document.number].content.merge(document.parts)
        if before is not None:
            transaction.add_merged(document.number, before)
            transaction.know(document.values)
        await time_slice.yield_if_due()
    if merge.afresh:
        await replay_onto(transaction, store, time_slice, void)
    return transaction


async def _opened(
    store: PinsetStore, merge: Merge, client: int, time_slice: TimeSlice
) -> dict[int, OpenDocument]:
    numbers = [document.number for document in merge.documents]
    if merge.afresh:
        return {number: OpenDocument(number, client, b"", ()) for number in numbers}
    opened = {}
    for number, stored in zip(numbers, await store.documents(numbers), strict=True):
        opened[number] = OpenDocument(number, client, stored.snapshot, stored.updates)
        await time_slice.yield_if_due()
    return opened
