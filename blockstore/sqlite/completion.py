"""Roots become complete in groups; with each group a new mark goes into the blocks, and then into the roots.

    1. a new mark is written into the blocks     2. the blocks are synced     3. roots and mark, together

So the mark that the roots have is one that their blocks have, unless a file was lost, exchanged or restored
alone. Old marks say that the blocks are newer than the roots, which is fine until garbage is collected:
before that happens all but the newest mark are forgotten.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from blockstore.cid import CID
from blockstore.common.group_commit import GroupCommit
from blockstore.marks import Marks
from blockstore.sqlite import pinned_roots
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.pinned_roots import PinnedRoot
from blockstore.store import Blockstore

_MARK_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Ended:
    """Roots whose walks have ended together; `counts` says of each that it was not unpinned meanwhile."""

    roots: Sequence[PinnedRoot]
    counts: Callable[[CID], bool]


class Completing:
    """What ends while one group is written is the next group."""

    def __init__(self, database: SqliteDatabase, store: Blockstore, marks: Marks) -> None:
        self._database = database
        self._store = store
        self._marks = marks
        self._turn = asyncio.Lock()
        self._groups: GroupCommit[_Ended, list[PinnedRoot]] = GroupCommit(self._complete_group, id)

    async def complete(self, roots: Sequence[PinnedRoot], counts: Callable[[CID], bool]) -> list[PinnedRoot]:
        """Make the blocks durable, then record the roots; those that still count, as they were recorded."""
        return await self._groups.ask(_Ended(roots, counts))

    async def finish(self) -> None:
        """Wait until nothing is waiting."""
        await self._groups.finish()

    async def renew(self) -> None:
        """Before blocks are removed: roots as they were before are foreign to these blocks from now on."""
        async with self._turn:
            mark, _ = await self._record([])
            await self._marks.forget_marks_before(mark)

    async def _complete_group(self, group: Sequence[_Ended]) -> list[list[PinnedRoot]]:
        async with self._turn:
            _, recorded = await self._record(group)
        return recorded

    async def _record(self, group: Sequence[_Ended]) -> tuple[bytes, list[list[PinnedRoot]]]:
        """The mark, and what was recorded of those that still count."""
        mark = os.urandom(_MARK_BYTES)
        await self._marks.mark(mark)
        await self._store.flush()
        counting = [[root for root in ended.roots if ended.counts(root.cid)] for ended in group]
        write = self._database.write if group else self._database.free  # a collection can wait for no room
        return mark, await write(_write, counting, mark, self._marks.parts)


def _write(
    connection: sqlite3.Connection, ended: Sequence[Sequence[PinnedRoot]], mark: bytes, parts: int
) -> list[list[PinnedRoot]]:
    pinned_roots.beside(connection, mark, parts)
    recorded = iter(pinned_roots.record(connection, [root for roots in ended for root in roots]))
    return [list(islice(recorded, len(roots))) for roots in ended]
