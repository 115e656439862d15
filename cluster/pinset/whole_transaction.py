"""A transaction that replaces documents as they lie on the disk, in place of appending to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis
from cluster.pinset.document_cache import OpenDocument
from cluster.pinset.documents.document import NO_ENTRIES, Entries
from cluster.pinset.tables.rows import Commit, DocumentChange, batch_row
from cluster.pinset.transaction import Outcome, Transaction


class WholeTransaction(Transaction):
    """Its documents are in memory whole."""

    def __init__(self, documents: Mapping[int, OpenDocument]) -> None:
        super().__init__(documents)
        self.opened = documents
        self._merged: list[int] = []

    def add_merged(self, number: int, before: Mapping[CID, Entries]) -> None:
        """That document was joined with another member's; its changed CIDs' entries were `before`."""
        self._merged.append(number)
        self._before.update((cid, (number, entries)) for cid, entries in before.items())

    async def outcome_of_merge(self, facts: Mapping[str, bytes], time_slice: TimeSlice) -> Outcome:
        """Of the documents that were merged."""
        documents = await self._stored(self._merged, time_slice)
        return await self._resolved(Commit(documents, facts=facts), time_slice)

    async def outcome_whole(self, facts: Mapping[str, bytes], time_slice: TimeSlice) -> Outcome:
        """Of the batches that were added; all documents stand in for those that are stored."""
        documents = await self._stored(self.opened, time_slice)
        commit = Commit(documents, tuple(map(batch_row, self.batches)), facts=facts)
        return await self._resolved(commit, time_slice)

    async def outcome_of_replay(
        self, lost: Iterable[CID], genesis: Genesis, time_slice: TimeSlice
    ) -> Outcome:
        """Of documents that were made again: all of them, and every row of theirs and of the CIDs `lost`."""
        cids = {*lost}.union(*(document.content.cids() for document in self.opened.values()))
        self._before = {cid: (genesis.document_of(cid), NO_ENTRIES) for cid in cids}
        commit = Commit(await self._stored(self.opened, time_slice))
        made_again = await self._resolved(commit, time_slice)
        return replace(made_again, commit=replace(made_again.commit, live={}))

    async def _stored(self, numbers: Iterable[int], time_slice: TimeSlice) -> tuple[DocumentChange, ...]:
        documents = []
        for number in numbers:
            documents.append(self.opened[number].store_whole())
            await time_slice.yield_if_due()
        return tuple(documents)
