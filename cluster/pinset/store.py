"""The pinset in SQLite, as typed operations: each is one trip to the database.

`commit` is the only way the pinset changes on disk, one transaction for everything that belongs together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from cluster.interfaces import PinQuery
from cluster.pinset import sql_reads, sql_writes
from cluster.pinset.batch import AuthorLog
from cluster.pinset.log_columns import add_log_columns
from cluster.pinset.rows import Commit, DigestSums, Head, StoredDocument
from cluster.ports import Database

SqlDatabase = Database[sqlite3.Connection]
"""Opened with schema.SCHEMA and PRAGMAS."""

STAMP_FACT = "stamp"
"""The fact that holds the newest stamp issued here, in 8 bytes."""


class PinsetStore:
    """Typed operations over the database. Concurrent readers see the last commit."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    async def prepare(self) -> None:
        """Bring a file of an earlier version to what is written here; before anything else."""
        await self._database.write(add_log_columns)

    async def is_cut(self) -> bool:
        """Whether batches of some log are not here any more, so that documents cannot be made from logs."""
        return await self._database.read(sql_reads.is_cut)

    async def commit(self, commit: Commit) -> None:
        """Put it on disk, all or nothing."""
        only_removes = commit.removed and not commit.pins
        await (self._database.free if only_removes else self._database.write)(sql_writes.write_commit, commit)

    async def facts(self) -> Mapping[str, bytes]:
        return await self._database.read(sql_reads.read_facts)

    async def documents(self, numbers: Sequence[int]) -> list[StoredDocument]:
        """In order of `numbers`; NO_DOCUMENT where nothing is stored."""
        return await self._database.read(sql_reads.read_documents, numbers)

    async def heads(self, after: int, limit: int) -> list[Head]:
        """Logs whose head changed after that arrival, in order of arrival."""
        return await self._database.read(sql_reads.read_heads, after, limit)

    async def batches(self, wants: Sequence[tuple[AuthorLog, int]], max_bytes: int) -> list[bytes]:
        """Envelopes behind the given sequence of each log, in order of arrival, about `max_bytes` in all.

        At least one when there is one. Arrival order is causal: what a batch deletes came before it.
        """
        return await self._database.read(sql_reads.read_batches, wants, max_bytes)

    async def batches_after(self, arrival: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """(arrival, envelope) of every log, in order of arrival."""
        return await self._database.read(sql_reads.read_batches_after, arrival, max_bytes)

    async def digest_sums(self, first: int, last: int, shift: int) -> DigestSums:
        """Sums over documents [first, last), by number >> shift; empty ranges are left out."""
        return await self._database.read(sql_reads.sum_digests, first, last, shift)

    async def values(self, cids: Sequence[bytes]) -> list[bytes | None]:
        return await self._database.read(sql_reads.read_values, cids)

    async def page(self, query: PinQuery, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(CID, value) of pins that match, in order of the CID's bytes, after that one."""
        return await self._database.read(sql_reads.read_page, query, after, limit)

    async def count(self, query: PinQuery) -> int:
        return await self._database.read(sql_reads.count_pins, query)

    async def was_removed(self, cid: bytes) -> bool:
        """Whether a commit removed it, and none put it again since."""
        return await self._database.read(sql_reads.is_removed, cid)
