"""By marks a file of roots and the blocks it was written beside know each other."""

from __future__ import annotations

from typing import Protocol


class Marks(Protocol):
    """What a store remembers for files of roots (`sqlite/completion.py`)."""

    @property
    def parts(self) -> int:
        """Number of files that the blocks lie in; it only grows, unless one is lost."""
        ...

    async def mark(self, value: bytes) -> None: ...

    async def has_mark(self, value: bytes) -> bool:
        """Whether nothing was collected, and nothing exchanged, since that mark was made."""
        ...

    async def is_new(self) -> bool:
        """Whether there is neither mark nor block."""
        ...

    async def is_marked(self) -> bool: ...

    async def forget_marks_before(self, value: bytes) -> None: ...


class Unmarked:
    """The Marks of a store that cannot be exchanged: it knows every mark."""

    parts = 1

    async def mark(self, value: bytes) -> None:
        """No-op: every mark is known."""

    async def has_mark(self, value: bytes) -> bool:
        return True

    async def is_new(self) -> bool:
        return False

    async def is_marked(self) -> bool:
        return False

    async def forget_marks_before(self, value: bytes) -> None:
        """No-op: none is remembered."""
