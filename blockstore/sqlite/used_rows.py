"""Rows that no collection may take: they were put or looked up while an import or a collection runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from blockstore.number_bitmap import NumberBitmap
from blockstore.sqlite import row_checks as checks
from blockstore.sqlite.block_rows import BlockRows
from blockstore.sqlite.row_checks import Found
from blockstore.sqlite.row_numbers import RowNumbers
from blockstore.store import NO_LIMIT


class UsedRows:
    """`protected_from`: rows of this number and above came since the protection began."""

    def __init__(self, numbers: RowNumbers) -> None:
        self._numbers = numbers
        self._guards = 0
        self._touched = NumberBitmap()
        self.protected_from = NO_LIMIT

    def __contains__(self, row: int) -> bool:
        return row in self._touched

    @contextmanager
    def protect(self) -> Generator[None]:
        """See `CollectedStore.protect`."""
        if not self._guards:
            self.protected_from, self._touched = self._numbers.next, NumberBitmap()
        self._guards += 1
        try:
            yield
        finally:
            self._guards -= 1

    def look(self, connection: sqlite3.Connection, source: BlockRows, multihashes: Sequence[bytes]) -> Found:
        """Look for blocks, which counts as use while the protection lasts. On a database's thread."""
        found, refused = checks.rows(connection, source.rows, multihashes)
        if self._guards:
            for row in found.values():
                self._touched.add(row.id)
        return found, refused
