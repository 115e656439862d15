"""Marks in the files of a store, by which a file of roots and its blocks know each other."""

from __future__ import annotations

from blockstore.errors import StoreCorrupt
from blockstore.sqlite import mark_rows, totals
from blockstore.sqlite.sound_rows import SoundRows
from blockstore.sqlite.spare import Spare


class FileMarks:
    """In the first file; in the spare where that one refuses. A part that cannot be read has no marks."""

    def __init__(self, rows: SoundRows, spare: Spare) -> None:
        self._rows = rows
        self._spare = spare

    @property
    def parts(self) -> int:
        return len(self._rows.files())

    async def mark(self, value: bytes) -> None:
        try:
            await self._rows.files()[0].free(mark_rows.add, value)
        except StoreCorrupt:
            await (await self._spare.open()).free(mark_rows.add, value)

    async def has_mark(self, value: bytes) -> bool:
        for file in self._rows.files():
            try:
                if await file.read(mark_rows.has_mark, value):
                    return True
            except StoreCorrupt:
                continue
        return False

    async def is_marked(self) -> bool:
        for file in self._rows.files():
            try:
                if await file.read(mark_rows.is_marked):
                    return True
            except StoreCorrupt:
                return True
        return False

    async def is_new(self) -> bool:
        try:
            first = self._rows.files()[0]
            return not await self.is_marked() and not (await first.read(totals.read))[0]
        except StoreCorrupt:
            return False

    async def forget_marks_before(self, value: bytes) -> None:
        for file in self._rows.files():
            await file.free(mark_rows.forget_before, value)
