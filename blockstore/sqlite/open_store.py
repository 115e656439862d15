"""The block store of a file, opened: its tables, its spare, and what is counted from them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from blockstore.errors import StoreCorrupt
from blockstore.sqlite import cached_rows as cache
from blockstore.sqlite import file_pages, mark_rows, statements, totals
from blockstore.sqlite.block_rows import INLINE, BlockRows
from blockstore.sqlite.capacity import CACHE_SHARE, CapacityLimits, StoreCapacity
from blockstore.sqlite.database import Ballast, SqliteDatabase, open_database
from blockstore.sqlite.file_pages import STANDARD, FileTuning
from blockstore.sqlite.row_numbers import RowNumbers, last_number
from blockstore.sqlite.spare import REMEDY, Spare
from blockstore.sqlite.store import SqliteBlockstore

SCHEMA = statements.SCHEMA + mark_rows.SCHEMA + totals.SCHEMA + cache.SCHEMA
_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_sqlite_blockstore(
    path: Path,
    *,
    quota: int = 0,
    reserve: int = 0,
    cache_share: float = CACHE_SHARE,
    ballast: Ballast | None = None,
    tuning: FileTuning = STANDARD,
) -> AsyncIterator[SqliteBlockstore]:
    """Open or create the store in that file.

    `quota` bounds the bytes that it takes on the disk, of which `reserve` bytes are left free (both 0 = no
    bound). Of that room cached blocks take up to `cache_share` (0 to 1). `ballast` is given up to delete on
    a full disk.
    Raises StoreCorrupt, StoreUnavailable.
    """
    async with AsyncExitStack() as stack:
        spare = await open_spare(path, stack)
        tuning = tuning.within(quota)
        database = await stack.enter_async_context(open_rows(path, SCHEMA, REMEDY, tuning, ballast))
        await begin_sums(database, INLINE)
        await spare.recheck(database, INLINE)
        yield SqliteBlockstore(
            database,
            spare,
            StoreCapacity(path, CapacityLimits(quota, reserve, cache_share), await last_use(database)),
            await next_numbers(database, spare),
        )


async def open_spare(path: Path, stack: AsyncExitStack) -> Spare:
    """The spare file of that one; opened where there is one, until the stack is left."""
    spare = Spare(path, stack)
    if spare.path.exists():
        await spare.open()
    return spare


def open_rows(
    path: Path,
    schema: str,
    remedy: str,
    tuning: FileTuning,
    ballast: Ballast | None,
    on_rollback: Callable[[], None] = lambda: None,
) -> AbstractAsyncContextManager[SqliteDatabase]:
    """The file of rows, opened; not looked through as a whole, for each block is checked by itself."""
    return open_database(
        path,
        layout=file_pages.LAYOUT,
        pragmas=tuning.pragmas,
        schema=schema,
        check=False,
        remedy=remedy,
        ballast=ballast,
        on_rollback=on_rollback,
    )


async def next_numbers(database: SqliteDatabase, spare: Spare) -> RowNumbers:
    """Behind all rows of both files."""
    return RowNumbers(1 + max([await last_number(file) for file in (database, spare.file) if file]))


async def begin_sums(database: SqliteDatabase, source: BlockRows) -> None:
    """Where they cannot be read, new blocks go into the spare file."""
    try:
        await database.write(_begin_sums, source)
    except StoreCorrupt as error:
        _log.error("%s; new blocks go into the spare file", error)


def _begin_sums(connection: sqlite3.Connection, source: BlockRows) -> None:
    totals.begin(connection, source.count, source.beside(connection))
    cache.begin(connection)


async def last_use(file: SqliteDatabase) -> int:
    """When a cached block was used last; where that cannot be read, as if there were one."""
    try:
        return await file.read(cache.latest_use)
    except StoreCorrupt:
        return 1
