"""One connection of aiosqlite's, in a thread of its own, to which a whole operation goes in one trip."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import aiosqlite

T = TypeVar("T")


class Connection(aiosqlite.Connection):
    """`run` is what aiosqlite has no public call for: those are a trip for each statement.

    A read costs a third in one trip, a batch of small blocks half (docs/decisions/0002), and nothing comes
    between their statements. The two names with an underscore are pinned by a test, and by the minor version.
    """

    def __init__(self, uri: str) -> None:
        super().__init__(self._open, iter_chunk_size=64)
        self._uri = uri

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns or raises. It must not leave a cursor open."""
        result: T = await self._execute(lambda: work(self._opened))  # type: ignore[no-untyped-call]
        return result

    async def ended(self) -> None:
        """Wait until its thread, which was told to stop, has: it would answer a loop that is closed."""
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _open(self) -> sqlite3.Connection:
        self._opened = sqlite3.connect(self._uri, uri=True, isolation_level=None, cached_statements=64)
        return self._opened


@asynccontextmanager
async def open_connection(uri: str) -> AsyncIterator[Connection]:
    """For the length of the block. Raises sqlite3.Error."""
    connection = Connection(uri)
    try:
        await connection
    except BaseException:
        await connection.ended()
        raise
    try:
        yield connection
    finally:
        await connection.close()
