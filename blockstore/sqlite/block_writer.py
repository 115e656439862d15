"""Blocks written: into the first file, or into the spare where that one is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import StoreCorrupt, quota_reached
from blockstore.sqlite import cached_rows as cache
from blockstore.sqlite import row_checks as checks
from blockstore.sqlite.block_rows import INLINE, BlockRows
from blockstore.sqlite.capacity import StoreCapacity
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.row_numbers import RowNumbers
from blockstore.sqlite.sound_rows import SoundRows
from blockstore.sqlite.spare import Spare, keep
from blockstore.sqlite.usage_meter import UsageMeter
from blockstore.sqlite.used_rows import UsedRows
from blockstore.upkeep import PutCounts


class BlockWriter:
    """`evictions`: how often cached blocks made way for others."""

    def __init__(
        self,
        database: SqliteDatabase,
        spare: Spare,
        rows: SoundRows,
        capacity: StoreCapacity,
        numbers: RowNumbers,
        used: UsedRows,
        source: BlockRows,
    ) -> None:
        self._database = database
        self._spare = spare
        self._rows = rows
        self._capacity = capacity
        self._numbers = numbers
        self._used = used
        self._source = source
        self._meter = UsageMeter(database, spare, rows, capacity)
        self.evictions = 0
        self.counts = PutCounts()

    async def put_many(self, blocks: Sequence[Block]) -> None:
        """See `Blockstore.put_many`."""
        data = {block.cid.multihash: block.data for block in blocks if not block.cid.is_identity}
        if not data:
            return
        apart = await self._rows.apart(list(data))
        if rest := {name: body for name, body in data.items() if name not in apart}:
            apart |= await self._put_here(rest)
        if apart:
            await self._put_aside({name: data[name] for name in apart})

    async def put_cached(self, blocks: Sequence[Block]) -> None:
        """As `put_many`, of blocks that may be let go again, least recently used first.

        They take the place of other cached blocks only, and what does not fit into the share is not kept.
        What was damaged is put for good: perhaps a pin needs it. Raises StorageFull.
        """
        data = {block.cid.multihash: block for block in blocks if not block.cid.is_identity}
        apart = await self._rows.apart(list(data))
        if rest := {name: block.data for name, block in data.items() if name not in apart}:
            self._capacity.may_cache = True  # before a reader can see them
            evicted = await self._database.write(self._put_cached, rest)
            self.evictions += evicted
        if apart:
            await self.put_many([data[name] for name in apart])

    async def claim(self, cids: Sequence[CID]) -> set[CID]:
        """Of blocks that were just found here: they stay here, cached no more. Those that are gone again."""
        if not self._capacity.may_cache:
            return set()
        names = [cid.multihash for cid in cids if not cid.is_identity]
        try:
            gone = await self._database.write(cache.claim_names, names)
        except StoreCorrupt:  # one of them is damaged, and so missing: the others are claimed all the same
            gone = [name for name in names if await self._is_gone(name)]
        if gone:
            gone = list(set(gone) - await self._rows.apart(gone))
        return {cid for cid in cids if cid.multihash in gone}

    async def _is_gone(self, name: bytes) -> bool:
        try:
            return bool(await self._database.write(cache.claim_names, [name]))
        except StoreCorrupt:
            return False

    async def _put_here(self, data: dict[bytes, bytes]) -> set[bytes]:
        """Put what the first file takes; the names of those that it does not, or holds damaged."""
        try:
            known, evicted = await self._database.write(self._put, data)
            self.evictions += evicted
        except (StoreCorrupt, sqlite3.IntegrityError) as error:
            self._rows.tell_refusals({next(iter(data)): str(error.__cause__ or error)})
            known = list(data)
        if self._spare.file is not None:
            known = list(data)  # a page that is damaged may have swallowed them: they are read back
        if not known:
            return set()
        return set(known) - set(await self._rows.bodies(known))

    async def _put_aside(self, data: dict[bytes, bytes]) -> None:
        new = sum(map(len, data.values()))
        usage = await self._meter.usage()
        if self._meter.quota and usage.bytes + new > self._meter.quota:
            raise quota_reached(usage.bytes, new, self._meter.quota)
        file = await self._spare.open()
        bad = await self._spare.hidden(list(data))
        await file.write(self._keep, data)
        self._spare.tell_replaced(bad)

    # From here on: on the database's threads.

    def _put(self, connection: sqlite3.Connection, data: dict[bytes, bytes]) -> tuple[list[bytes], bool]:
        """Those that were here before, and were not looked at lately; whether cached blocks made way."""
        known, refused = self._used.look(connection, self._source, list(data))
        if refused:
            raise StoreCorrupt(next(iter(refused.values())))
        new = [(multihash, body) for multihash, body in data.items() if multihash not in known]
        self._capacity.claim(connection, [row.id for row in known.values()])
        evicted = False
        if new:
            evicted = self._capacity.admit(connection, sum(len(body) for _, body in new))
            self._source.insert(connection, self._numbers.take(len(new)), new)
            self._count(new)
        return [name for name, row in known.items() if row.id not in self._rows.checked], evicted

    def _put_cached(self, connection: sqlite3.Connection, data: dict[bytes, bytes]) -> bool:
        """Whether other cached blocks made way."""
        known, refused = checks.rows(connection, self._source.rows, list(data))
        new = [item for item in data.items() if item[0] not in known and item[0] not in refused]
        if not new:
            return False
        evicted = self._capacity.admit_cached(connection, sum(len(body) for _, body in new))
        first = self._numbers.take(len(new))
        self._source.insert(connection, first, new)
        self._count(new)
        self._capacity.add_cached(connection, first, new)
        return evicted

    def _count(self, new: Sequence[tuple[bytes, bytes]]) -> None:
        self.counts.stored += len(new)
        self.counts.stored_bytes += sum(len(body) for _, body in new)

    def _keep(self, connection: sqlite3.Connection, data: dict[bytes, bytes]) -> None:
        self._used.look(connection, INLINE, list(data))
        keep(connection, self._numbers.take(len(data)), list(data.items()))
