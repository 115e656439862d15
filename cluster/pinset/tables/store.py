"""The pinset in SQLite, as typed operations: each is one trip to the database.

`commit` is the only way the pinset changes on disk, one transaction for everything that belongs together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from blockstore.cid import CID
from blockstore.common.kept_count import KeptCount
from cluster.common.pin_codec import decode_pin
from cluster.errors import BadUpdate
from cluster.interfaces import EVERY_PIN, PinQuery, StoredPins
from cluster.pin import KeyRange
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.tables import interned_peers, sql_batches, sql_listing, sql_ranges, sql_reads, sql_writes
from cluster.pinset.tables.document_clocks import VERSION as CLOCKS_VERSION
from cluster.pinset.tables.fork_store import ForkStore
from cluster.pinset.tables.list_place import ListPlace
from cluster.pinset.tables.live_entries import LiveTable
from cluster.pinset.tables.matching import matches
from cluster.pinset.tables.pinset_state import PinsetState
from cluster.pinset.tables.rows import Commit, DigestSums, DocumentOutline, Head, StoredDocument
from cluster.pinset.tables.snapshot_store import SnapshotStore
from cluster.pinset.tables.sql_listing import RowPage
from cluster.pinset.tables.walks import Listing, listing
from cluster.ports import Database

SqlDatabase = Database[sqlite3.Connection]
"""Opened with schema.SCHEMA and PRAGMAS."""

STAMP_FACT = "stamp"
"""The fact that holds the newest stamp issued here, in 8 bytes."""


_READ_AT_ONCE = 1000  # pins


def _nothing(_version: int) -> bool:
    return False


def is_meant(row: tuple[bytes, bytes], query: PinQuery) -> bool:
    """Rows that cannot be read are given to the caller, who says so."""
    try:
        return matches(decode_pin(row[1]).pin(CID.decode(row[0])), query)
    except (BadUpdate, ValueError):
        return True


class PinsetStore:
    """Typed operations over the database. Concurrent readers see the last commit."""

    def __init__(self, database: SqlDatabase, lacks: Callable[[int], bool] = _nothing) -> None:
        """`lacks` says of a version of the tables whether some rows do not have its form yet."""
        self._database = database
        self.forks = ForkStore(database)
        self._lacks = lacks
        self.live = LiveTable()
        self._pins = KeptCount(self._count_all)
        self.snapshots = SnapshotStore(database, self.live, self._pins)

    async def prepare(self) -> None:
        """Read what is kept in memory beside the tables; before anything else."""
        self.live.put(await self._database.read(sql_reads.read_live))

    async def is_cut(self) -> bool:
        """Whether batches of some log are not here any more, so that documents cannot be made from logs."""
        return await self._database.read(sql_reads.is_cut)

    async def commit(self, commit: Commit) -> None:
        """Put it on disk, all or nothing."""
        only_removes = commit.removed and not (commit.pins or commit.added)
        work = self._database.free if only_removes else self._database.write
        live = self.live.after(commit.live)
        with self._pins.changing() as change:
            change.by = await work(sql_writes.write_commit, commit, live)
        self.live.put(live)

    async def facts(self) -> Mapping[str, bytes]:
        return await self._database.read(sql_reads.read_facts)

    async def documents(self, numbers: Sequence[int]) -> list[StoredDocument]:
        """In order of `numbers`; NO_DOCUMENT where nothing is stored."""
        return await self._database.read(sql_reads.read_documents, numbers)

    async def outlines(
        self, numbers: Sequence[int], cids: Sequence[bytes]
    ) -> tuple[list[DocumentOutline], Mapping[bytes, bytes | None]]:
        """Of each of these documents; those of the CIDs that are pinned, by value, or were (None)."""
        return await self._database.read(sql_reads.read_outlines, numbers, cids)

    @property
    def is_comparable(self) -> bool:
        """Whether all digests are those of this release, so that sums can be compared."""
        return not self._lacks(CLOCKS_VERSION)

    async def heads(self, after: int, limit: int) -> list[Head]:
        """Logs whose head changed after that arrival, in order of arrival."""
        return await self._database.read(sql_reads.read_heads, after, limit)

    async def batches(self, wants: Sequence[tuple[AuthorLog, int]], max_bytes: int) -> list[bytes]:
        """Envelopes behind the given sequence of each log, in order of arrival, about `max_bytes` in all.

        At least one when there is one. Arrival order is causal: what a batch deletes came before it.
        """
        return await self._database.read(sql_batches.read_batches, wants, max_bytes)

    async def batches_after(self, arrival: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """(arrival, envelope) of every log, in order of arrival."""
        return await self._database.read(sql_reads.read_batches_after, arrival, max_bytes)

    async def digest_sums(self, first: int, last: int, shift: int) -> DigestSums:
        """Sums over documents [first, last), by number >> shift; empty ranges are left out."""
        return await self._database.read(sql_reads.sum_digests, first, last, shift)

    async def values(self, cids: Sequence[bytes]) -> list[bytes | None]:
        return await self._database.read(sql_reads.read_values, cids)

    async def page(self, query: PinQuery, place: ListPlace | None, limit: int) -> RowPage:
        """At most `limit` rows of pins behind that place. Raises BadCursor, NotReady."""
        plan = self._listing(query, place)
        page = await self._database.read(sql_listing.read_page, plan, place or plan.walk.first(query), limit)
        if not plan.reads:
            return page
        return replace(page, rows=[row for row in page.rows if is_meant(row, query)])

    async def stored(self, keys: KeyRange, limit: int) -> StoredPins:
        return await self._database.read(sql_ranges.read_stored, keys, limit)

    @asynccontextmanager
    async def state(self) -> AsyncIterator[PinsetState]:
        """The pins as they are now, for the length of the block, which is to be short."""
        async with self._database.view() as view:
            yield PinsetState(view)

    async def count(self, query: PinQuery) -> int:
        """How many pins match, or cannot be read to tell; many trips where there are many."""
        if query == EVERY_PIN:
            return await self._pins.total()
        plan = self._listing(query, None)
        count = 0
        place: ListPlace | None = plan.walk.first(query)
        while place is not None:
            if plan.reads:
                page = await self.page(query, place, _READ_AT_ONCE)
                count, place = count + len(page.rows), page.place
            else:
                part = await self._database.read(sql_listing.count_part, plan, place)
                count, place = count + part.count, part.place
        return count

    async def _count_all(self) -> int:
        return await self._database.read(sql_listing.count_all)

    def _listing(self, query: PinQuery, place: ListPlace | None) -> Listing:
        ready = not self._lacks(interned_peers.VERSION)
        return listing(query, ready, place.walk if place else "")

    async def was_removed(self, cid: bytes) -> bool:
        """Whether a commit removed it, and none put it again since."""
        (removed,) = await self.were_removed([cid])
        return removed

    async def were_removed(self, cids: Sequence[bytes]) -> list[bool]:
        """`was_removed` of each, in order."""
        return await self._database.read(sql_reads.are_removed, cids)
