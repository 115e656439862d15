"""Numbers of rows, upwards only: SQLite gives the number of a deleted last row again."""

from __future__ import annotations

import threading
import time

from blockstore.errors import StoreCorrupt
from blockstore.sqlite import statements
from blockstore.sqlite.database import SqliteDatabase


class RowNumbers:
    """One sequence over both files, taken from on their threads. A collection takes what follows for new."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._lock = threading.Lock()

    @property
    def next(self) -> int:
        """No row has this number or a higher one."""
        return self._next

    def take(self, count: int) -> int:
        """The first of as many numbers for new rows."""
        with self._lock:
            first, self._next = self._next, self._next + count
            return first


async def last_number(file: SqliteDatabase) -> int:
    """A number that no row of that file is above."""
    try:
        return await file.read(statements.last_id)
    except StoreCorrupt:
        return int(time.time() * 1e6)
