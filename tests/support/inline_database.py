"""SQLite on the loop's own thread, for virtual time; every commit can be gone back to, as after a crash."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar

from cluster.members import record_store
from cluster.pinset.tables import schema

T = TypeVar("T")
P = ParamSpec("P")


TABLES = schema.SCHEMA + record_store.SCHEMA


class Crashed(Exception):
    """The process that held this database was killed."""


class _Connection(sqlite3.Connection):
    """Fails at the statement that `left` counts down to; with None never."""

    left: int | None = None
    error: Exception = Crashed()

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        self._count()
        return super().execute(sql, parameters)  # type: ignore[arg-type]  # whatever it takes

    def executemany(self, sql: str, parameters: object, /) -> sqlite3.Cursor:
        self._count()
        return super().executemany(sql, parameters)  # type: ignore[arg-type]

    def _count(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise self.error


class InlineDatabase:
    """cluster.ports.Database in memory. `images` holds the file as it was after each of the last commits."""

    def __init__(self, image: bytes | None = None, keep: int = 0, tables: str = TABLES) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, factory=_Connection)
        if image is not None:
            self._connection.deserialize(image)
        self._connection.executescript(tables)
        self._keep = keep
        self.images = [self._connection.serialize()]
        self.failing: Exception | None = None

    def pragma(self, name: str) -> int:
        """A number that SQLite tells of the file."""
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def fail_at(self, statement: int, error: Exception) -> None:
        """Writing raises that at its so many-th statement from now on, and at all that follow."""
        self._connection.left, self._connection.error = statement, error

    def recover(self) -> None:
        """Fail no more."""
        self.failing = self._connection.left = None

    def close(self) -> None:
        self._connection.close()

    async def write(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self.failing is not None:
            raise self.failing
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            result = work(self._connection, *args, **kwargs)
            self._connection.execute("COMMIT")
        except BaseException as error:
            if error is self._connection.error:
                self.failing = self._connection.error
            self._undo()
            raise
        if self._keep:
            self.images = [*self.images[-self._keep + 1 :], self._connection.serialize()]
        return result

    free = write

    def _undo(self) -> None:
        self._connection.left = None
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    async def read(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return work(self._connection, *args, **kwargs)

    @asynccontextmanager
    async def view(self) -> AsyncIterator[InlineDatabase]:
        """A copy, which nothing writes to."""
        copy = InlineDatabase(self._connection.serialize(), tables="")
        try:
            yield copy
        finally:
            copy.close()
