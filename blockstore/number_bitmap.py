"""A set of the numbers of blocks (`Located.number`) as a sparse bitmap: exact, and a bit an entry."""

from __future__ import annotations

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

    def __contains__(self, row: int) -> bool:
        number, bit = divmod(row, _PAGE_BITS)
        page = self._pages.get(number)
        return page is not None and bool(page[bit >> 3] & 1 << (bit & 7))
