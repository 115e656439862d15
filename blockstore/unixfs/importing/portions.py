"""Portions of an import: what its source gives, gathered until it is worth a group.

The next one is gathered while the one before is worked off. Small files wait for others to come with them,
but not for a source that pauses.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from blockstore.common.tasks import let_go
from blockstore.unixfs.importing.entries import Entry, LocalFile, SourceFile
from blockstore.unixfs.importing.ingest import GROUP_BLOCKS, GROUP_BYTES, LocalWork, Piece, Work

# A little less than a group, so that a portion of small files makes one group and not one and a bit.
_BYTES = GROUP_BYTES * 7 // 8
_ENTRIES = GROUP_BLOCKS - 1
_PAUSE = 0.1
"""Seconds that what is whole waits for more."""


class Portions:
    """Ask for the `next` until it is empty; close it in any case."""

    def __init__(self, entries: AsyncIterator[Entry]) -> None:
        self._feed = _work(entries)
        self._portion: deque[Work] = deque()
        self._size = 0
        self._filling = asyncio.create_task(self._fill())

    async def next(self) -> deque[Work]:
        """About a group's worth of bytes, or what is whole when the source pauses; empty behind the last.

        Raises what the source raises.
        """
        while not self._filling.done():
            await asyncio.wait([self._filling], timeout=_PAUSE)
            if self._holds_whole():
                break
        if self._filling.done() and not self._filling.result():
            return self._take()
        portion = self._take()
        if self._filling.done():
            self._filling = asyncio.create_task(self._fill())
        return portion

    async def aclose(self) -> None:
        """Read no more of the source."""
        await let_go(self._filling)
        await self._feed.aclose()

    async def _fill(self) -> bool:
        """Add to the portion until it is full; false where there is no more."""
        async for work in self._feed:
            self._portion.append(work)
            self._size += _weight(work)
            if self._size >= _BYTES or len(self._portion) >= _ENTRIES:
                return True
        return False

    def _holds_whole(self) -> bool:
        """Whether an entry ends in the portion: a part of a long file alone is worth no group."""
        return any(not isinstance(work, Piece) or work.last for work in self._portion)

    def _take(self) -> deque[Work]:
        portion, self._portion, self._size = self._portion, deque(), 0
        return portion


async def _work(entries: AsyncIterator[Entry]) -> AsyncGenerator[Work, None]:
    async for entry in entries:
        if not isinstance(entry, SourceFile):
            yield entry
        elif isinstance(entry.body, LocalFile):
            yield LocalWork(entry, entry.body)
        else:
            async for data in entry.body:
                yield Piece(entry, data, last=False)
            yield Piece(entry, b"", last=True)


def _weight(work: Work) -> int:
    match work:
        case Piece():
            return len(work.data)
        case LocalWork():
            return work.file.size
        case _:
            return 0
