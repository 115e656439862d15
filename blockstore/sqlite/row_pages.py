"""Where in a database file the rows of a table lie: its B-tree read as the file format says.

For what may be wrong now and then, such as telling the system which pages to forget: the write-ahead log may
hold newer pages, and a damaged one leads nowhere. Source: sqlite.org/fileformat.html, "B-tree Pages".
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left
from collections.abc import Generator, Iterable

_INTERIOR, _LEAF = 5, 13  # pages of a table
_DEEPEST = 20
_CELLS = {_INTERIOR: 12, _LEAF: 8}  # where the pointers to the cells begin


class RowPages:
    """The table whose root page that is, in the file of that descriptor."""

    def __init__(self, file: int, page_bytes: int, root: int) -> None:
        self._file = file
        self._page_bytes = page_bytes
        self._root = root
        self._read: dict[int, bytes] = {}

    def ranges(self, rows: Iterable[int]) -> Generator[tuple[int, int]]:
        """(start, bytes) of their leaf pages, and of the pages behind for what does not fit into these.

        Those are taken for one piece, which they are in a file that was filled in order.
        """
        for row in rows:
            try:
                leaf, first, count = self._lies(row)
            except (IndexError, OSError):
                continue
            yield self._range(leaf, 1)
            if count:
                yield self._range(first, count + 1)  # a page of pointers may lie in between

    def _range(self, page: int, count: int) -> tuple[int, int]:
        return (page - 1) * self._page_bytes, count * self._page_bytes

    def _lies(self, row: int) -> tuple[int, int, int]:
        """Its leaf page, the first page behind it, and the number of those. Raises IndexError, OSError."""
        page = self._root
        for _ in range(_DEEPEST):
            data = self._page(page)
            if data[0] == _LEAF:
                return page, *self._overflow(data, row)
            page = _child(data, row)
        raise IndexError(row)

    def _page(self, number: int) -> bytes:
        if number not in self._read:
            data = os.pread(self._file, self._page_bytes, (number - 1) * self._page_bytes)
            if len(data) < self._page_bytes or data[0] not in _CELLS:
                raise IndexError(number)
            self._read[number] = data
        return self._read[number]

    def _overflow(self, leaf: bytes, row: int) -> tuple[int, int]:
        cells = _cells(leaf)
        cell = cells[bisect_left(cells, row, key=lambda at: _varint(leaf, _varint(leaf, at)[1])[0])]
        size, start = _varint(leaf, cell)
        key, start = _varint(leaf, start)
        if key != row:
            raise IndexError(row)
        here = self._local(size)
        count = -(-(size - here) // (self._page_bytes - 4))
        return (_number(leaf, start + here), count) if count else (0, 0)

    def _local(self, size: int) -> int:
        """Bytes of a payload that lie in the leaf page itself."""
        usable = self._page_bytes
        if size <= usable - 35:
            return size
        least = (usable - 12) * 32 // 255 - 23
        here = least + (size - least) % (usable - 4)
        return here if here <= usable - 35 else least


def _child(interior: bytes, row: int) -> int:
    cells = _cells(interior)
    place = bisect_left(cells, row, key=lambda at: _varint(interior, at + 4)[0])
    return _number(interior, cells[place] if place < len(cells) else 8)


def _cells(page: bytes) -> tuple[int, ...]:
    """Where the cells of a page lie in it, in the order of their rows. Raises IndexError."""
    count, start = int.from_bytes(page[3:5]), _CELLS[page[0]]
    if start + 2 * count > len(page):
        raise IndexError(count)
    return struct.unpack_from(f">{count}H", page, start)


def _number(page: bytes, place: int) -> int:
    return int.from_bytes(page[place : place + 4])


def _varint(page: bytes, place: int) -> tuple[int, int]:
    """The value and the place behind it; raises IndexError at the end of the page."""
    value = 0
    for count in range(8):
        byte = page[place + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + count + 1
    return value << 8 | page[place + 8], place + 9
