"""One connection of aiosqlite's, in a thread of its own, to which a whole operation goes in one trip."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import aiosqlite

T = TypeVar("T")


class SqliteConnection(aiosqlite.Connection):
    """`run` is what aiosqlite has no public call for: those are a trip for each statement.

    A read costs a third in one trip, a batch of small blocks half (docs/decisions/0002), and nothing comes
    between their statements. A test, and the minor version, pin the three names with an underscore.
    """

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns or raises. It must not leave a cursor open."""
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return result

    async def ended(self) -> None:
        """Wait until its thread, which was asked to stop, has: it would answer a loop that is closed."""
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)


@asynccontextmanager
async def open_connection(uri: str) -> AsyncIterator[SqliteConnection]:
    """For the length of the block. Raises sqlite3.Error."""
    connect = partial(sqlite3.connect, uri, uri=True, isolation_level=None, cached_statements=64)
    connection = SqliteConnection(connect, iter_chunk_size=64)
    try:
        await connection
    except BaseException:
        await connection.ended()
        raise
    try:
        yield connection
    finally:
        await connection.close()
