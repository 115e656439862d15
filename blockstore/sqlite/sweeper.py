"""Mark and sweep, the second half: blocks that no root reaches are removed, page by page."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.cid import CID, RAW
from blockstore.errors import CollectorBusy, StoreCorrupt
from blockstore.sqlite import statements
from blockstore.sqlite.block_rows import BlockRows
from blockstore.sqlite.database import DamagedRow, SqliteDatabase
from blockstore.sqlite.row_bitmap import RowBitmap
from blockstore.sqlite.sound_rows import SoundRows
from blockstore.sqlite.spare import Spare
from blockstore.sqlite.statements import Row
from blockstore.sqlite.used_rows import UsedRows

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """Blocks that were removed together (as raw CIDs), and their bytes."""

    cids: Sequence[CID]
    bytes: int


class Sweeper:
    """`deletions`: how often blocks were removed."""

    def __init__(self, database: SqliteDatabase, spare: Spare, rows: SoundRows, used: UsedRows) -> None:
        self._database = database
        self._spare = spare
        self._rows = rows
        self._used = used
        self.is_collecting = False
        self.deletions = 0

    @asynccontextmanager
    async def collecting(self) -> AsyncIterator[None]:
        """One collection at a time: while it lasts, blocks that are put or looked up count as in use.

        Raises CollectorBusy.
        """
        if self.is_collecting:
            raise CollectorBusy
        with self._used.protect():
            self.is_collecting = True
            try:
                # A put that was under way has not noted its blocks: behind this write they can be seen.
                for file in self._rows.files():
                    await file.write(_nothing)
                yield
            finally:
                self.is_collecting = False

    async def rows(self, cids: Iterable[CID]) -> dict[bytes, list[Row]]:
        """Where those that are here lie, damaged ones too, by multihash; looking so does not count as use.

        Raises StoreCorrupt where that cannot be read.
        """
        return await self._rows.all_rows([cid.multihash for cid in cids if not cid.is_identity])

    async def sweep(self, keep: RowBitmap) -> AsyncIterator[Swept]:
        """Remove, in pages, what is neither in `keep` nor protected. Only inside `collecting`.

        Damaged rows stay, and so do all behind a page that SQLite cannot read, and all of a file where one
        page holds something else.
        """
        for file in self._rows.files():
            if not await self._in_order(file):
                continue
            last = 0
            while page := await self._page(file, last):
                last = page[-1][0]
                garbage = {row: multihash for row, multihash in page if row not in keep}
                if garbage and (swept := await self._sweep_page(file, garbage)).cids:
                    self.deletions += 1
                    yield swept

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

    async def _page(self, file: SqliteDatabase, last: int) -> list[tuple[int, bytes]]:
        try:
            page = await file.read(statements.ids_between, last, self._used.protected_from)
        except StoreCorrupt as error:
            _log.error("garbage is collected of a part of the blocks only: %s", error)
            return []
        return page

    async def _sweep_page(self, file: SqliteDatabase, garbage: dict[int, bytes]) -> Swept:
        """Remove them together; where SQLite refuses, all of them stay."""
        hidden = await self._spare.hidden(list(garbage.values())) if file is self._database else ()
        garbage = {row: name for row, name in garbage.items() if name not in hidden}
        try:
            return await file.free(self._sweep, self._rows.source_of(file), garbage)
        except StoreCorrupt as error:
            _log.error("%d blocks that nobody needs could not be removed: %s", len(garbage), error)
            return Swept((), 0)

    def _sweep(self, connection: sqlite3.Connection, source: BlockRows, garbage: dict[int, bytes]) -> Swept:
        rows = [row for row in garbage if row not in self._used]
        removed, size = source.delete(connection, rows)
        return Swept([CID.v1(RAW, garbage[row]) for row in removed], size)


def _nothing(connection: sqlite3.Connection) -> None:
    """Behind whatever is being written."""
