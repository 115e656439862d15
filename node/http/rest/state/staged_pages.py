"""Pages on their way through a nameless file: written as fast as they come, read as slowly as need be."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from blockstore.disk.free_space import is_full
from blockstore.disk.staging import Staging
from blockstore.errors import StorageFull

_PIN = 150  # bytes of a pin in a page, about


@dataclass(slots=True)
class StagedPages:
    """One writer, one reader, which follows it. The file ends with the process, or before."""

    descriptor: int
    staging: Staging
    _total: int | None = None
    _error: Exception | None = None
    _sizes: deque[int] = field(default_factory=deque)
    _written: int = 0
    _ended: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def announce(self, total: int) -> None:
        """How many pins all pages will have. Raises StorageFull where there is no room for so many."""
        self._check_room(total * _PIN)
        self._total = total
        self._changed.set()

    async def append(self, page: bytes) -> None:
        """Raises StorageFull."""
        await asyncio.to_thread(self._write, page)
        self._written += len(page)
        self._sizes.append(len(page))
        self._changed.set()

    def end(self, error: Exception | None = None) -> None:
        """No page follows; with the error that kept the rest away."""
        self._error = error
        self._ended = True
        self._changed.set()

    async def total(self) -> int:
        """What was announced. Raises what kept the writer from it."""
        while self._total is None and not self._ended:
            await self._change()
        if self._total is None:
            raise self._error or EOFError
        return self._total

    async def pages(self) -> AsyncGenerator[bytes]:
        """Each in its turn. Raises, behind the last, what kept the rest away."""
        position = 0
        while self._sizes or not self._ended:
            if not self._sizes:
                await self._change()
                continue
            size = self._sizes.popleft()
            yield await asyncio.to_thread(os.pread, self.descriptor, size, position)
            position += size
        if self._error is not None:
            raise self._error

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _write(self, page: bytes) -> None:
        self._check_room(len(page))
        position, rest = self._written, memoryview(page)
        try:
            while rest:
                count = os.pwrite(self.descriptor, rest, position)
                position, rest = position + count, rest[count:]
        except OSError as error:
            if not is_full(error):
                raise
            raise StorageFull(f"no room to stage the export ({error}): free space, then try again") from error

    def _check_room(self, size: int) -> None:
        self.staging.check_room(size, "the export", "export at another member: all have the same pins")


@contextmanager
def staged_pages(staging: Staging) -> Iterator[StagedPages]:
    """An empty file for the length of the block."""
    with tempfile.TemporaryFile(dir=staging.folder, buffering=0) as file:
        yield StagedPages(file.fileno(), staging)
