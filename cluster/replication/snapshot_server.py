"""The donor's side of a snapshot: documents as they are stored, a page at a time, for the cost of reading."""

from __future__ import annotations

import asyncio

from cluster.common.methods import SNAPSHOT
from cluster.errors import SnapshotUnavailable
from cluster.pinset.documents.foreign_document import DocumentParts
from cluster.replication.context import ReplicationContext
from cluster.replication.heads import MAX_HEADS
from cluster.replication.snapshot_page import PageRequest, SnapshotPage

MAX_READING = 2
"""Pages that are read at the same time: this node's own work needs its disk too."""

MAX_WAITING = 16
"""Calls that wait for that; further ones are refused."""


class SnapshotServer:
    """Answers members, whatever they are trusted with: they may read all of the pinset."""

    def __init__(self, context: ReplicationContext, opening: bytes, page_bytes: int) -> None:
        self._opening = opening
        self._page_bytes = page_bytes
        self._replica = context.replica
        self._store = context.store
        self._bits = context.local.genesis.document_bits
        self._reading = asyncio.Semaphore(MAX_READING)
        self._waiting = 0
        context.gate.serve(SNAPSHOT, self._answer)

    async def _answer(self, peer: str, request: bytes) -> bytes:
        wanted = PageRequest.decode(request)
        if self._replica.snapshot_place is not None and not any(self._replica.heads().values()):
            raise SnapshotUnavailable("this member is new, and takes a snapshot itself: ask another one")
        if self._waiting >= MAX_WAITING:
            raise SnapshotUnavailable("this member serves as many snapshots as it can: ask another one")
        self._waiting += 1
        try:
            async with self._reading:
                return bytes(await self._page(wanted))
        finally:
            self._waiting -= 1

    async def _page(self, wanted: PageRequest) -> SnapshotPage:
        last = min(wanted.last, 1 << self._bits)
        documents = await self._store.snapshots.parts(wanted.first, last, self._page_bytes)
        # Heads are read after the documents: none of these holds anything that the heads do not show.
        since = wanted.since if wanted.store == self._opening else 0
        heads = await self._store.heads(since, MAX_HEADS)
        return SnapshotPage(
            store=self._opening,
            documents=tuple(documents),
            next=_behind(documents, wanted.last),
            logs=(*((head.log, head.sequence) for head in heads), *self._replica.tolerated().items()),
            until=heads[-1].arrival if heads else since,
            more=len(heads) == MAX_HEADS,
        )


def _behind(documents: list[DocumentParts], last: int) -> int:
    return documents[-1].number + 1 if documents else last
