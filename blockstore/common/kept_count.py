"""How many rows there are: counted once, then kept by what each change says of itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class CountChange:
    """By how much a change that has succeeded moves the count."""

    by: int = 0


class KeptCount:
    """`count` reads the rows; it is asked again after a change of which it is not known what it did."""

    def __init__(self, count: Callable[[], Awaitable[int]]) -> None:
        self._count = count
        self._known: int | None = None
        self._begun = 0
        self._running = 0

    async def total(self) -> int:
        """Without what is being changed just now."""
        if self._known is not None:
            return self._known
        begun, is_quiet = self._begun, not self._running
        found = await self._count()
        if is_quiet and self._begun == begun:  # else it is not known which of the changes it has seen
            self._known = found
        return found

    @contextmanager
    def changing(self) -> Iterator[CountChange]:
        """Around each change; `by` is to be set before the block ends."""
        self._begun += 1
        self._running += 1
        change = CountChange()
        try:
            yield change
        except BaseException:
            self._known = None
            raise
        finally:
            self._running -= 1
        if self._known is not None:
            self._known += change.by
