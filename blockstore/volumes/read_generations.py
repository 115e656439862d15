"""Readers of places that a deletion has just forgotten: what gives the room back waits for these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from threading import Condition


class ReadGenerations:
    """A reader belongs to the generation in which it began. From any thread."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._readers: Counter[int] = Counter()
        self._current = 0

    @contextmanager
    def reading(self) -> Generator[None]:
        """What a look-up finds inside the block stays where it is as long as the block lasts."""
        with self._changed:
            generation = self._current
            self._readers[generation] += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers[generation] -= 1
                if not self._readers[generation]:
                    del self._readers[generation]
                    self._changed.notify_all()

    def wait(self) -> None:
        """Until all readers of this moment are gone. Blocks the thread."""
        with self._changed:
            before = self._current
            self._current += 1
            self._changed.wait_for(lambda: all(generation > before for generation in self._readers))
