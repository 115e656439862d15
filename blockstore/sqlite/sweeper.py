"""Mark and sweep, the second half: blocks that no root reaches are removed, page by page."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate

from blockstore.cid import CID, RAW
from blockstore.errors import CollectorBusy, StoreCorrupt
from blockstore.number_bitmap import NumberBitmap
from blockstore.sqlite import cached_rows as cache
from blockstore.sqlite import statements
from blockstore.sqlite.block_rows import BlockRows
from blockstore.sqlite.capacity import StoreCapacity
from blockstore.sqlite.database import DamagedRow, SqliteDatabase
from blockstore.sqlite.sound_rows import SoundRows
from blockstore.sqlite.spare import Spare
from blockstore.sqlite.used_rows import UsedRows
from blockstore.store import NO_LIMIT
from blockstore.upkeep import Swept

STEP_BYTES = 32 * 1024 * 1024
"""Of blocks that are removed in one transaction, or one block: others write in between."""

_log = logging.getLogger(__name__)

_Page = list[tuple[int, bytes]]


class Sweeper:
    """`deletions`: how often blocks were removed."""

    def __init__(
        self,
        database: SqliteDatabase,
        spare: Spare,
        rows: SoundRows,
        used: UsedRows,
        capacity: StoreCapacity,
    ) -> None:
        self._database = database
        self._spare = spare
        self._rows = rows
        self._used = used
        self._capacity = capacity
        self.is_collecting = False
        self.deletions = 0

    @asynccontextmanager
    async def collecting(self) -> AsyncIterator[RowCollection]:
        """See `CollectedStore.collecting`."""
        if self.is_collecting:
            raise CollectorBusy
        with self._used.protect():
            self.is_collecting = True
            try:
                # A put that was under way has not noted its blocks: behind this write they can be seen.
                for file in self._rows.files():
                    await file.write(_nothing)
                yield RowCollection(self, self._rows)
            finally:
                self.is_collecting = False

    async def sweep(self, keep: NumberBitmap, need: int) -> AsyncIterator[Swept]:
        """See `Collection.sweep`.

        Damaged rows stay, and so do all behind a page that SQLite cannot read, and all of a file where one
        page holds something else.
        """
        orders = [self._by_age(keep, frozenset())]
        if need < NO_LIMIT:
            recent = self._capacity.recent_uses()
            orders = [self._by_age(keep, recent, spare_cached=True), self._cached(keep), *orders]
        for order in orders:
            async for file, garbage in order:
                while garbage and need > 0:
                    swept, garbage = await self._removed(file, garbage, min(need, STEP_BYTES))
                    need -= swept.bytes
                    if swept.cids:
                        self.deletions += 1
                        yield swept
                if need <= 0:
                    return

    async def _by_age(
        self, keep: NumberBitmap, spared: frozenset[bytes], *, spare_cached: bool = False
    ) -> AsyncIterator[tuple[SqliteDatabase, dict[int, bytes]]]:
        """Garbage in pages, oldest first; without what is spared."""
        for file in self._rows.files():
            if not await self._in_order(file):
                continue
            last = 0
            while page := await self._page(file, last):
                last = page[-1][0]
                garbage = {row: name for row, name in page if row not in keep and name not in spared}
                if garbage and spare_cached and file is self._database:
                    cached = await file.read(cache.among, list(garbage))
                    garbage = {row: name for row, name in garbage.items() if row not in cached}
                if garbage := await self._visible(file, garbage):
                    yield file, garbage

    async def _cached(self, keep: NumberBitmap) -> AsyncIterator[tuple[SqliteDatabase, dict[int, bytes]]]:
        """What was only read, least recently used first, a page at a time."""
        await self._database.free(self._capacity.settle_uses)
        place = (-1, 0)
        while page := await self._database.read(cache.oldest, place):
            place = page[-1].used, page[-1].row
            garbage = {one.row: one.name for one in page if one.row not in keep}
            yield self._database, await self._visible(self._database, garbage)

    async def _visible(self, file: SqliteDatabase, garbage: dict[int, bytes]) -> dict[int, bytes]:
        """Without rows that are damaged: they are left as they are."""
        hidden = await self._spare.hidden(list(garbage.values())) if file is self._database else ()
        return {row: name for row, name in garbage.items() if name not in hidden}

    async def _in_order(self, file: SqliteDatabase) -> bool:
        """Whether its rows are where they belong, as far as SQLite can read them."""
        last = 0
        try:
            while page := await file.read(statements.ids_between, last, self._used.protected_from):
                last = page[-1][0]
        except StoreCorrupt as error:
            if isinstance(error.__cause__, DamagedRow):
                _log.error("no garbage is collected of %s: %s", file.path, error)
                return False
        return True

    async def _page(self, file: SqliteDatabase, last: int) -> _Page:
        try:
            page = await file.read(statements.ids_between, last, self._used.protected_from)
        except StoreCorrupt as error:
            _log.error("garbage is collected of a part of the blocks only: %s", error)
            return []
        return page

    async def _removed(
        self, file: SqliteDatabase, garbage: dict[int, bytes], most: int
    ) -> tuple[Swept, dict[int, bytes]]:
        """Remove some of them together, about `most` bytes; and the rest. Where SQLite refuses, all stay."""
        try:
            return await file.free(self._remove, self._rows.source_of(file), garbage, most)
        except StoreCorrupt as error:
            _log.error("%d blocks that nobody needs could not be removed: %s", len(garbage), error)
            return Swept((), 0), {}

    def _remove(
        self, connection: sqlite3.Connection, source: BlockRows, garbage: dict[int, bytes], most: int
    ) -> tuple[Swept, dict[int, bytes]]:
        rows = [row for row in garbage if row not in self._used and row < self._used.protected_from]
        found = source.sizes(connection, rows)
        ends = accumulate((size for _, size in found), initial=0)
        count = sum(end < most for end, _ in zip(ends, found, strict=False))
        removed, size = source.delete(connection, [row for row, _ in found[:count]])
        swept = Swept([CID.v1(RAW, garbage[row]) for row in removed], size)
        return swept, {row: garbage[row] for row, _ in found[count:]}


class RowCollection:
    """A Collection: what is kept is a bit a row."""

    def __init__(self, sweeper: Sweeper, rows: SoundRows) -> None:
        self._sweeper = sweeper
        self._rows = rows
        self._keep = NumberBitmap()

    async def keep(self, cids: Sequence[CID]) -> None:
        names = [cid.multihash for cid in cids if not cid.is_identity]
        for row in await self._rows.numbers(names) if names else ():
            self._keep.add(row)

    def sweep(self, need: int = NO_LIMIT) -> AsyncIterator[Swept]:
        return self._sweeper.sweep(self._keep, need)


def _nothing(connection: sqlite3.Connection) -> None:
    """Behind whatever is being written."""
