"""SQLite on the loop's own thread, for virtual time; every commit can be gone back to, as after a crash."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from cluster.members import record_store
from cluster.pinset import schema

T = TypeVar("T")
P = ParamSpec("P")


TABLES = schema.SCHEMA + record_store.SCHEMA


class Crashed(Exception):
    """The process that held this database was killed."""


class InlineDatabase:
    """cluster.ports.Database in memory. `images` holds the file as it was after each of the last commits."""

    def __init__(self, image: bytes | None = None, keep: int = 0, tables: str = TABLES) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        if image is not None:
            self._connection.deserialize(image)
        self._connection.executescript(tables)
        self._keep = keep
        self.images = [self._connection.serialize()]
        self.failing: Exception | None = None

    def close(self) -> None:
        self._connection.close()

    async def write(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self.failing is not None:
            raise self.failing
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection, *args, **kwargs)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        if self._keep:
            self.images = [*self.images[-self._keep + 1 :], self._connection.serialize()]
        return result

    free = write

    async def read(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return work(self._connection, *args, **kwargs)
