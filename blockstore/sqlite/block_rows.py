"""Where the bytes of blocks lie is the business of their rows: in the row itself, or beside the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Protocol

from blockstore.sqlite import file_pages, statements
from blockstore.sqlite.statements import Row


class BlockRows(Protocol):
    """The statements about blocks that differ with where their bytes lie; on the threads of a database."""

    def bodies(
        self, connection: sqlite3.Connection, multihashes: Sequence[bytes]
    ) -> dict[bytes, tuple[int, bytes]]:
        """Row and bytes of those that are here, by multihash. Raises OSError where a disk does not answer."""
        ...

    def rows(self, connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, Row]:
        """The rows of those that are here, by multihash."""
        ...

    def all_rows(self, connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, Row]:
        """The same, with those whose bytes are on a disk that is away at present."""
        ...

    def insert(self, connection: sqlite3.Connection, first: int, new: Sequence[tuple[bytes, bytes]]) -> None:
        """Add blocks that are not here yet, numbered upwards from `first`. Raises StorageFull."""
        ...

    def sizes(self, connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Row and bytes of those that are there, in that order; no byte of a block is read."""
        ...

    def delete(self, connection: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[int], int]:
        """Those that were there and are gone, and their bytes."""
        ...

    def uncache(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        """Have their bytes come from the disk itself when they are next read, as far as that can be."""
        ...

    def count(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Blocks and their bytes, counted one by one."""
        ...

    def beside(self, connection: sqlite3.Connection) -> int:
        """Bytes of blocks that lie outside of the file."""
        ...

    def freed(self, connection: sqlite3.Connection) -> int:
        """Bytes that were freed outside of the file and not given back to the disk yet."""
        ...

    def measured(self) -> int:
        """Bytes that the disk gives to all that lies outside of the file, by asking it."""
        ...


class InlineRows:
    """Every block lies in its row."""

    def bodies(
        self, connection: sqlite3.Connection, multihashes: Sequence[bytes]
    ) -> dict[bytes, tuple[int, bytes]]:
        return statements.bodies(connection, multihashes)

    def rows(self, connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, Row]:
        return statements.rows(connection, multihashes)

    def all_rows(self, connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> dict[bytes, Row]:
        return statements.rows(connection, multihashes)

    def insert(self, connection: sqlite3.Connection, first: int, new: Sequence[tuple[bytes, bytes]]) -> None:
        statements.insert(connection, first, new)

    def sizes(self, connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[int, int]]:
        return statements.sizes(connection, ids)

    def delete(self, connection: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[int], int]:
        return statements.delete_rows(connection, ids)

    def uncache(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        file_pages.uncache(connection, "blocks", ids)

    def count(self, connection: sqlite3.Connection) -> tuple[int, int]:
        return statements.count(connection)

    def beside(self, connection: sqlite3.Connection) -> int:
        return 0

    def freed(self, connection: sqlite3.Connection) -> int:
        return 0

    def measured(self) -> int:
        return 0


INLINE = InlineRows()
