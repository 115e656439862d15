"""A set of the numbers of blocks (`Located.number`) as a sparse bitmap: exact, and a bit an entry."""

from __future__ import annotations

from typing import Self

_PAGE_BITS = 1 << 15  # 4 KiB a page: small enough for scattered rows, few enough for dense ones


class NumberBitmap:
    """Non-negative integers that lie close together. Memory: 4 KiB for each 32768 that is touched."""

    __slots__ = ("_pages",)

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, row: int) -> None:
        number, bit = divmod(row, _PAGE_BITS)
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = bytearray(_PAGE_BITS // 8)
        page[bit >> 3] |= 1 << (bit & 7)

    def pack(self) -> bytes:
        """As `unpack` takes it: the number of each page in eight bytes, and the page."""
        return b"".join(number.to_bytes(8) + page for number, page in self._pages.items())

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Raises ValueError for what `pack` does not make."""
        found, size = cls(), 8 + _PAGE_BITS // 8
        if len(data) % size:
            raise ValueError("a bitmap that ends within a page")
        for start in range(0, len(data), size):
            number = int.from_bytes(data[start : start + 8])
            found._pages[number] = bytearray(data[start + 8 : start + size])
        return found

    def __contains__(self, row: int) -> bool:
        number, bit = divmod(row, _PAGE_BITS)
        page = self._pages.get(number)
        return page is not None and bool(page[bit >> 3] & 1 << (bit & 7))
