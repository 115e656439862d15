"""One SQLite file as one writer and a few readers; every operation is one trip to a connection's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import aiosqlite

from blockstore.errors import StorageFull, StoreCorrupt, StoreUnavailable

T = TypeVar("T")
P = ParamSpec("P")
Work = Callable[Concatenate[sqlite3.Connection, P], T]

# Starts of SQLite's extended result codes (sqlite.org/rescode.html); the first group that fits decides.
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE")
_CORRUPT = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_UNUSABLE = (
    "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_LOCKED",
)  # fmt: skip


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name: str = getattr(error, "sqlite_errorname", "")  # absent where sqlite3 itself objects to a call
        if name.startswith(_FULL):
            raise StorageFull(f"cannot write {path}: the disk is full ({error}); free some space") from error
        if name.startswith(_CORRUPT):
            raise StoreCorrupt(f"{path} is damaged, or is not a database: {error}") from error
        if name.startswith(_UNUSABLE):
            raise StoreUnavailable(
                f"cannot use {path}: {error}; look at the folder and its rights"
            ) from error
        raise


class Database:
    """Runs functions on SQLite connections. A write runs inside one IMMEDIATE transaction, all or nothing.

    Raises StorageFull, StoreCorrupt and StoreUnavailable in place of SQLite's own errors for those troubles.
    A cancelled caller does not stop work that has begun: it ends, and commits, behind its back.
    """

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, readers: Sequence[aiosqlite.Connection]
    ) -> None:
        self.path = path
        self._writer = writer
        self._readers = cycle(readers)

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, ...)` in a transaction on the writer; commits when it returns."""

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection, *args, **kwargs)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        with _translated(self.path):
            return await _hop(self._writer, transaction)

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, ...)` on a reader. It must not leave a cursor open."""
        with _translated(self.path):
            return await _hop(next(self._readers), lambda connection: work(connection, *args, **kwargs))


async def _hop(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    # aiosqlite's public calls are one thread hop each (77-210 us for execute + fetch + close); this is the
    # hop they are made of, used once for the whole operation (31-48 us). Checked by the pinned major version.
    result: T = await connection._execute(work, connection._conn)  # type: ignore[no-untyped-call]
    return result


@asynccontextmanager
async def open_database(
    path: Path, *, pragmas: Sequence[str], schema: str, readers: int = 2
) -> AsyncIterator[Database]:
    """Open or create the file: `pragmas` on every connection in order, then `schema` (idempotent) once.

    Raises StoreCorrupt when the file is not a database, StoreUnavailable when it cannot be opened.
    """
    async with AsyncExitStack() as stack:
        connections = []
        with _translated(path):
            for index in range(1 + readers):
                connection = await stack.enter_async_context(_connect(path, pragmas))
                if index == 0:
                    await _hop(connection, lambda c: c.executescript(schema).close())
                connections.append(connection)
        yield Database(path, connections[0], connections[1:])


@asynccontextmanager
async def _connect(path: Path, pragmas: Sequence[str]) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(path, isolation_level=None, cached_statements=64) as connection:
        await _hop(connection, partial(_run_all, statements=pragmas))
        yield connection


def _run_all(connection: sqlite3.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement).close()
