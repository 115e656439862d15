"""Import: a stream of files, folders and symlinks becomes blocks in a store, and CIDs for the caller.

Three things go on at once, each at most about 4 MiB ahead of the next: the next bytes are gathered, the ones
before are read and hashed in a thread, the blocks before those are stored, a transaction at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar

from blockstore.block import Block
from blockstore.common.tasks import let_go
from blockstore.unixfs.importing.entries import Entry
from blockstore.unixfs.importing.ingest import (
    GROUP_BLOCKS,
    GROUP_BYTES,
    Group,
    ImportedEntry,
    Ingest,
    Work,
)
from blockstore.unixfs.importing.options import ImportOptions
from blockstore.unixfs.importing.portions import Portions

Progress = Callable[[str, int], None]
"""Called with a file's name and how many of its bytes are hashed; now and then, and when it is complete."""

_Result = TypeVar("_Result")


class BlockSink(Protocol):
    """Where an import puts its blocks: a store, or whatever stands before one."""

    async def put_many(self, blocks: Sequence[Block]) -> None: ...


class DroppingSink:
    """Keeps nothing: for callers who want only the CIDs."""

    async def put_many(self, blocks: Sequence[Block]) -> None:
        """Nothing to keep."""


async def import_entries(
    entries: AsyncIterator[Entry],
    sink: BlockSink,
    options: ImportOptions,
    progress: Progress | None = None,
) -> AsyncGenerator[ImportedEntry, None]:
    """Import all; gives each file and link once its blocks are stored, then folders, the outermost last.

    Nothing that is ready waits for a source that pauses. Blocks reach the sink before those that link to
    them. When the iterator is exhausted, the sink has taken them all; leave it early with
    `contextlib.aclosing`. Raises BadEntry, UnreadableFile, BlockTooLarge, and what the entries or the sink
    raise; blocks stored by then stay, linked from nothing.
    """
    storing = _Storing(sink)
    groups = _groups(entries, Ingest(options), progress)
    following = asyncio.ensure_future(anext(groups, None))
    try:
        while True:
            if await storing.ends_before(following):
                ready = await storing.swap(Group())
            elif group := await following:
                ready = await storing.swap(group)
                following = asyncio.ensure_future(anext(groups, None))
            else:
                break
            for added in ready:
                yield added
        for added in await storing.swap(Group()):
            yield added
    finally:
        await let_go(following)
        await groups.aclose()
        await storing.abandon()


class _Storing:
    """One group on its way into the sink."""

    def __init__(self, sink: BlockSink) -> None:
        self._sink = sink
        self._task: asyncio.Task[None] | None = None
        self._added: list[ImportedEntry] = []

    async def ends_before(self, following: asyncio.Future[Group | None]) -> bool:
        """Whether all is stored, and something was, while the next group is still awaited."""
        if self._task is None:
            return bool(self._added) and not following.done()
        both: list[asyncio.Future[Group | None] | asyncio.Task[None]] = [following, self._task]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return self._task.done() and not following.done()

    async def swap(self, group: Group) -> list[ImportedEntry]:
        """Wait for the group before to be stored, start on this one; returns what is complete now."""
        if self._task is not None:
            await self._task
        done = self._added
        self._added = group.added
        self._task = asyncio.create_task(self._store(group.blocks)) if group.blocks else None
        return done

    async def abandon(self) -> None:
        """Leave nothing running. A group that was not waited for may or may not be stored."""
        if self._task is not None:
            await let_go(self._task)

    async def _store(self, blocks: list[Block]) -> None:
        """Usually one transaction; more where one huge directory made more blocks than fit."""
        for part in _parts(blocks):
            await self._sink.put_many(part)


def _parts(blocks: list[Block]) -> list[list[Block]]:
    parts: list[list[Block]] = [[]]
    size = 0
    for block in blocks:
        if size >= GROUP_BYTES or len(parts[-1]) >= 2 * GROUP_BLOCKS:
            parts.append([])
            size = 0
        parts[-1].append(block)
        size += len(block.data)
    return parts


async def _groups(
    entries: AsyncIterator[Entry], ingest: Ingest, progress: Progress | None
) -> AsyncGenerator[Group, None]:
    """Hash portion after portion, while the next one is gathered."""
    portions = Portions(entries)
    try:
        while portion := await portions.next():
            while portion:
                group = await _in_thread(ingest.run, portion)
                _report(group, progress)
                yield group
        last = False
        while not last:
            group, last = await _in_thread(ingest.finish)
            yield group
    finally:
        await portions.aclose()
        ingest.close()


def _report(group: Group, progress: Progress | None) -> None:
    if progress is None:
        return
    for added in group.added:
        if added.kind == "file":
            progress(added.name, added.bytes)
    if group.reading is not None:
        progress(*group.reading)


async def _in_thread(function: Callable[..., _Result], *arguments: deque[Work]) -> _Result:
    """Run in a worker thread. When we are cancelled, the thread is waited for: it may be using a file."""
    future = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    try:
        return await asyncio.shield(future)
    finally:
        await asyncio.wait([future])
