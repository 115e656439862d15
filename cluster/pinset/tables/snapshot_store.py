"""Documents for other members, and those taken from them: each operation is one trip to the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from blockstore.common.kept_count import KeptCount
from cluster.pinset.documents.foreign_document import DocumentParts
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.log.snapshot_place import LogEnd, SnapshotPlace
from cluster.pinset.tables import sql_snapshot
from cluster.pinset.tables.live_entries import LiveTable
from cluster.pinset.tables.rows import Commit
from cluster.ports import Database


class SnapshotStore:
    """`store.PinsetStore.snapshots`."""

    def __init__(self, database: Database[sqlite3.Connection], live: LiveTable, pins: KeptCount) -> None:
        self._database = database
        self._live = live
        self._pins = pins

    async def parts(self, first: int, last: int, max_bytes: int) -> list[DocumentParts]:
        """Documents [first, last) as they are stored, about `max_bytes`: at least one when there is one."""
        return await self._database.read(sql_snapshot.read_parts, first, last, max_bytes)

    async def digests(self, numbers: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        """What was written down of these documents when each was last changed."""
        return await self._database.read(sql_snapshot.read_digests, numbers)

    async def cids(self, after: bytes, limit: int) -> list[bytes]:
        """Those of pins, in order of their bytes."""
        return await self._database.read(sql_snapshot.read_cids, after, limit)

    async def tolerated(self) -> Mapping[AuthorLog, int]:
        """What was stored with documents that were taken from other members."""
        return await self._database.read(sql_snapshot.read_tolerated)

    async def place(self) -> SnapshotPlace | None:
        """None when no snapshot is under way."""
        return await self._database.read(sql_snapshot.read_place)

    async def begin(self, place: SnapshotPlace, tolerated: Mapping[AuthorLog, int]) -> None:
        """From that place, which stands in for the one before."""
        await self._database.write(sql_snapshot.begin_snapshot, place, tolerated)

    async def merge(self, commit: Commit, tolerated: Mapping[AuthorLog, int], following: int | None) -> None:
        """`commit`, with what may come again by the log, and the place of the snapshot that it is of."""
        live = self._live.after(commit.live)
        with self._pins.changing() as change:
            change.by = await self._database.write(
                sql_snapshot.write_merge, commit, live, tolerated, following
            )
        self._live.put(live)

    async def end(self, floor: Sequence[LogEnd]) -> None:
        """Every log is applied up to the floor now, by documents."""
        await self._database.write(sql_snapshot.end_snapshot, floor)
