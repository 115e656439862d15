"""Where long walks are, kept now and then: a restart goes on there, and walks nothing twice.

As with roots, a mark goes into the blocks, they are synced, then the state is written with the mark: so the
blocks that it says were visited are there, unless their file was exchanged. Short walks are never kept.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from blockstore.cid import CID
from blockstore.errors import BlockstoreError
from blockstore.ipld.dag_walk import DagWalk
from blockstore.ipld.walk_state import BadWalkState, WalkState
from blockstore.marks import Marks
from blockstore.sqlite import walk_states
from blockstore.sqlite.database import SqliteDatabase
from blockstore.store import Blockstore

SPACING = 15.0

_MAX_STEPS = 500_000  # known and not visited: more take too long to write
_MARK_BYTES = 16
_log = logging.getLogger(__name__)


class Checkpoints:
    """`spacing`: seconds of a walk between two states that are kept, at least."""

    def __init__(
        self, database: SqliteDatabase, store: Blockstore, marks: Marks, spacing: float = SPACING
    ) -> None:
        self._database = database
        self._store = store
        self._marks = marks
        self.spacing = spacing

    async def find(self, root: CID) -> WalkState | None:
        """Where the walk of that root was, if that is known and still true."""
        if (found := await self._database.read(walk_states.find, root)) is None:
            return None
        mark, state = found
        try:
            known = await self._marks.has_mark(mark)
            return await asyncio.to_thread(WalkState.decode, state) if known else None
        except BadWalkState as error:
            _log.warning("pin %s is walked from its root again: %s", root, error)
            return None

    async def forget_all(self) -> None:
        """Blocks were lost: what was visited may be missing."""
        await self._database.free(walk_states.drop_all)

    def of(self, root: CID, walk: DagWalk) -> Checkpoint:
        return Checkpoint(self, root, walk, asyncio.get_running_loop().time)

    async def keep(self, root: CID, walk: DagWalk) -> None:
        """Raises StorageFull, StoreUnavailable."""
        state, mark = await walk.state(), os.urandom(_MARK_BYTES)
        if len(state.steps) <= _MAX_STEPS:
            data = await asyncio.to_thread(state.encode)
            await self._marks.mark(mark)
            await self._store.flush()
            await self._database.write(walk_states.keep, root, mark, data)


class Checkpoint:
    """That of one walk. `now` in seconds."""

    def __init__(self, kept: Checkpoints, root: CID, walk: DagWalk, now: Callable[[], float]) -> None:
        self._kept = kept
        self._root = root
        self._walk = walk
        self._now = now
        self._due = now() + kept.spacing

    async def when_due(self) -> None:
        """Between two pages of the walk. What cannot be kept is not, which costs time after a restart."""
        if self._now() < self._due:
            return
        try:
            await self._kept.keep(self._root, self._walk)
        except BlockstoreError as error:
            _log.warning("how far pin %s is could not be noted: %s", self._root, error)
        self._due = self._now() + self._kept.spacing
