"""What can still be read of a damaged file of blocks: rows in order, and past pages that cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from blockstore.sqlite.row_checks import is_sound

_ROWS = 64
_LEAPS = 40  # of growing width, behind a row that cannot be read


def sound_rows_of(path: Path) -> Generator[tuple[bytes, bytes]]:
    """Multihash and bytes of each block that lies in that file and is what it was. Writes nothing.

    Blocks the thread; another one may go on where one stopped. What is no database gives nothing.
    """
    uri = f"file:{quote(str(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as connection:
            yield from _rows(connection)
    except sqlite3.Error:
        return


def _rows(connection: sqlite3.Connection) -> Generator[tuple[bytes, bytes]]:
    last, leaps = 0, 0
    while leaps < _LEAPS:
        try:
            page = _page(connection, last, 1 if leaps else _ROWS)
        except sqlite3.Error:
            last, leaps = last + 2**leaps, leaps + 1
            continue
        if not page:
            return
        for row, name, body in page:
            last, leaps = max(last, row), 0
            if isinstance(name, bytes) and is_sound(name, body):
                yield name, bytes(body)


def _page(connection: sqlite3.Connection, last: int, count: int) -> list[tuple[int, object, bytes]]:
    """A few rows behind the last one; fewer where a page behind them cannot be read."""
    query = "SELECT id, mh, data FROM blocks WHERE id > ? ORDER BY id LIMIT ?"
    try:
        return connection.execute(query, (last, count)).fetchall()
    except sqlite3.Error:
        if count == 1:
            raise
        return connection.execute(query, (last, 1)).fetchall()
