"""One SQLite file as one writer and a few readers; every operation is one trip to a connection's thread."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast
from urllib.parse import quote

from blockstore.errors import StorageFull, StoreCorrupt, StoreUnavailable
from blockstore.sqlite.connection import SqliteConnection, open_connection

T = TypeVar("T")
P = ParamSpec("P")
Work = Callable[Concatenate[sqlite3.Connection, P], T]

_JOBS_A_TRANSACTION = 64
_CHECKED = 8 * 1024 * 1024  # bytes of a file that is looked through when it is opened: some 50 ms
_LONGEST = 64 * 1024 * 1024  # bytes of a value; a damaged length would have memory taken for more

# Starts of SQLite's extended result codes (sqlite.org/rescode.html); the first group that fits decides.
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE")
_CORRUPT = (
    "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_DATA",
    "SQLITE_IOERR_CORRUPTFS",
)  # fmt: skip
# What a damaged schema or a damaged text looks like: our statements are fixed, and fit what we wrote.
_STRANGE = ("no such table", "no such column", "Could not decode to UTF-8")
_UNUSABLE = (
    "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_LOCKED",
)  # fmt: skip


class DamagedRow(Exception):
    """Raised by work that met a row which it never wrote; the text says what is wrong with it."""


_RESTORE = "restore it from a backup"


@contextmanager
def _translated(path: Path, remedy: str) -> Generator[None]:
    try:
        yield
    except (DamagedRow, UnicodeDecodeError) as error:  # the latter of an error's text, which names damage
        raise damaged(path, error, remedy) from error
    except sqlite3.Error as error:
        name: str = getattr(error, "sqlite_errorname", "")  # absent where sqlite3 itself objects to a call
        if name.startswith(_FULL):
            raise StorageFull(f"cannot write {path}: the disk is full ({error}); free some space") from error
        if name.startswith(_CORRUPT) or str(error).startswith(_STRANGE):
            raise damaged(path, error, remedy) from error
        if name.startswith(_UNUSABLE):
            raise StoreUnavailable(
                f"cannot use {path}: {error}; look at the folder and its rights"
            ) from error
        raise


def damaged(path: Path, why: object, remedy: str = _RESTORE) -> StoreCorrupt:
    """The error of a file that cannot be read as what it was; `remedy` says what to do."""
    return StoreCorrupt(f"{path} is damaged, or is not a database ({why}): {remedy}")


class Ballast(Protocol):
    """Room on the disk that is kept for what must be written when there is none left."""

    def give_up(self) -> bool:
        """Give some of the room back to the disk; whether there was any."""
        ...


class SqliteDatabase:
    """Runs functions on SQLite connections.

    Raises StorageFull, StoreCorrupt and StoreUnavailable in place of SQLite's own errors for those troubles,
    StoreCorrupt for DamagedRow too.
    A cancelled caller does not stop work that has begun: it ends, and commits, behind its back.
    """

    def __init__(
        self,
        path: Path,
        writer: Writer,
        readers: Sequence[SqliteConnection],
        remedy: str,
        connect: Callable[[], AbstractAsyncContextManager[SqliteConnection]],
        ballast: Ballast | None = None,
    ) -> None:
        """`connect` opens one more connection to the same file."""
        self._connect = connect
        self.path = path
        self.remedy = remedy
        self._writer = writer
        self._readers = cycle(readers)
        self._ballast = ballast

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, ...)` on the writer, all of it or nothing; returns once it is committed.

        Calls made while another write runs share the next transaction, and so its sync: an exception of one
        undoes that one alone, a disk that refuses undoes them all, and each caller hears of it.
        """
        with _translated(self.path, self.remedy):
            return await self._writer.run(lambda connection: work(connection, *args, **kwargs))

    async def free(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, of what gives room back: on a full disk the ballast is given up for that."""
        return await spending(self._ballast, lambda: self.write(work, *args, **kwargs))

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, ...)` on a reader. It must not leave a cursor open."""
        with _translated(self.path, self.remedy):
            return await next(self._readers).run(lambda connection: _read(connection, work, *args, **kwargs))

    @asynccontextmanager
    async def view(self) -> AsyncIterator[SqliteView]:
        """The file as it is now, on a connection of its own, for the length of the block.

        The write-ahead log is not cut meanwhile: whatever takes the time of others goes elsewhere first.
        """
        with _translated(self.path, self.remedy):
            async with self._connect() as connection:
                await connection.run(_begin_to_read)
                yield SqliteView(connection, self.path, self.remedy)


def _read(connection: sqlite3.Connection, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A savepoint that a damaged page keeps from being released would hold the reader at an old commit."""
    try:
        return work(connection, *args, **kwargs)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK").close()


@dataclass(frozen=True, slots=True)
class SqliteView:
    """Runs functions on a connection that sees one commit."""

    connection: SqliteConnection
    path: Path
    remedy: str

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, ...)`. It must not leave a cursor open."""
        with _translated(self.path, self.remedy):
            return await self.connection.run(lambda connection: work(connection, *args, **kwargs))


def _begin_to_read(connection: sqlite3.Connection) -> None:
    """A transaction sees what there is when it first reads."""
    connection.execute("BEGIN").close()
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()


async def spending(ballast: Ballast | None, write: Callable[[], Awaitable[T]]) -> T:
    """Await write(); where the disk is full, give up ballast and try again. Raises StorageFull."""
    while True:
        try:
            return await write()
        except StorageFull:
            if ballast is None or not await asyncio.to_thread(ballast.give_up):
                raise


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], object]
    done: asyncio.Future[object]
    result: object = None
    error: BaseException | None = None

    def run(self, connection: sqlite3.Connection, on_rollback: Callable[[], None]) -> None:
        """In a savepoint of its own. Raises only when the whole transaction is gone."""
        connection.execute("SAVEPOINT job")
        try:
            self.result = self.work(connection)
        except BaseException as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO job")
            on_rollback()
            self.error = error
        connection.execute("RELEASE job")

    def settle(self, failure: BaseException | None) -> None:
        if self.done.done():
            return  # the caller was cancelled
        if (error := failure or self.error) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(self.result)


class Writer:
    """The one connection that writes. What waits for it goes together in the next transaction.

    `on_rollback` is called on its thread whenever something was undone.
    """

    def __init__(self, connection: SqliteConnection, on_rollback: Callable[[], None]) -> None:
        self._connection = connection
        self._on_rollback = on_rollback
        self._waiting: deque[_Job] = deque()
        self._draining: asyncio.Task[None] | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        return cast("T", await job.done)

    async def finish(self) -> None:
        """Wait until nothing is waiting."""
        if self._draining is not None:
            await self._draining

    async def _drain(self) -> None:
        while self._waiting:
            jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), _JOBS_A_TRANSACTION))]
            jobs = [job for job in jobs if not job.done.cancelled()]
            failure: BaseException | None = None
            try:
                await self._connection.run(partial(_transaction, jobs=jobs, on_rollback=self._on_rollback))
            except BaseException as error:  # noqa: BLE001  carried to the callers, who raise it
                failure = error
            for job in jobs:
                job.settle(failure)
        self._draining = None


def _transaction(
    connection: sqlite3.Connection, jobs: Sequence[_Job], on_rollback: Callable[[], None]
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for job in jobs:
            job.run(connection, on_rollback)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        on_rollback()
        raise


@asynccontextmanager
async def open_database(
    path: Path,
    *,
    pragmas: Sequence[str],
    schema: str,
    prepare: Callable[[sqlite3.Connection], None] | None = None,
    layout: Sequence[str] = (),
    readers: int = 2,
    check: bool = True,
    remedy: str = _RESTORE,
    ballast: Ballast | None = None,
    on_rollback: Callable[[], None] = lambda: None,
) -> AsyncIterator[SqliteDatabase]:
    """Open or create the file: `pragmas` on every connection in order, then `schema` (idempotent) once.

    `layout` are pragmas for an empty file: set again, some of them write, and opening a file on a full disk
    must not. `prepare` runs before `schema`: it is for the tables of an earlier release. With `check` a file
    of at most 8 MiB is looked through first. `remedy` says what its owner is to do when it is damaged, seen
    now or later. `Database.free` gives up `ballast` where the disk is full. `on_rollback` is called on the
    writer's thread whenever something was undone.
    Raises StoreCorrupt when the file is not a database, StoreUnavailable when it cannot be opened.
    """
    opening = _Opening(path, layout, pragmas, schema, prepare, 1 + readers, check, remedy)
    async with AsyncExitStack() as stack:
        try:
            connections = await stack.enter_async_context(_connections(opening))
        except StorageFull:
            opening = replace(opening, vfs=_IN_MEMORY)
            connections = await stack.enter_async_context(_connections(opening))
        writer = Writer(connections[0], on_rollback)
        stack.push_async_callback(writer.finish)
        yield SqliteDatabase(path, writer, connections[1:], remedy, partial(_connect, opening), ballast)


# How connections find what is in the write-ahead log (sqlite.org/vfs.html). Usually by a file that other
# processes may open too, such as a backup; that needs room, so on a full disk by our own memory.
_SHARED, _IN_MEMORY = "unix", "unix-excl"


@dataclass(frozen=True, slots=True)
class _Opening:
    """How a file is opened: see `open_database`."""

    path: Path
    layout: Sequence[str]
    pragmas: Sequence[str]
    schema: str
    prepare: Callable[[sqlite3.Connection], None] | None
    connections: int
    check: bool
    remedy: str
    vfs: str = _SHARED


@asynccontextmanager
async def _connections(opening: _Opening) -> AsyncIterator[list[SqliteConnection]]:
    async with AsyncExitStack() as stack:
        connections: list[SqliteConnection] = []
        with _translated(opening.path, opening.remedy):
            for _ in range(opening.connections):
                connection = await stack.enter_async_context(_connect(opening))
                if not connections:
                    if opening.check:
                        await connection.run(partial(_check, opening=opening))
                    if opening.prepare:
                        await connection.run(opening.prepare)
                    await connection.run(lambda c: c.executescript(opening.schema).close())
                connections.append(connection)
        yield connections


@asynccontextmanager
async def _connect(opening: _Opening) -> AsyncIterator[SqliteConnection]:
    async with open_connection(f"file:{quote(os.fspath(opening.path))}?vfs={opening.vfs}") as connection:
        await connection.run(partial(_prepare, opening=opening))
        yield connection


def _check(connection: sqlite3.Connection, opening: _Opening) -> None:
    if opening.path.stat().st_size > _CHECKED:
        return
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise damaged(opening.path, found.splitlines()[-1], opening.remedy)


def _prepare(connection: sqlite3.Connection, opening: _Opening) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    empty = connection.execute("PRAGMA page_count").fetchone()[0] == 0
    for statement in (*opening.layout, *opening.pragmas) if empty else opening.pragmas:
        connection.execute(statement).close()
