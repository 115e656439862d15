"""The walk of one root that is to be kept: room reserved, progress told, and its place kept now and then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing

from blockstore.cid import CID
from blockstore.errors import PinWithdrawn
from blockstore.ipld.claimed_size import claimed_size
from blockstore.ipld.dag_walk import DagWalk, Visit
from blockstore.pinning.checkpoints import Checkpoint
from blockstore.pinning.pin_progress import PinProgress, ProgressMeter
from blockstore.upkeep import Reservation

Progress = Callable[[PinProgress], None]
"""Called for each page of blocks; must not block."""

_LONG = 1.0  # seconds


class RootWalk:
    """`is_new`: the root was not here before, so room is reserved for what it says is below it."""

    def __init__(
        self,
        root: CID,
        walk: DagWalk,
        checkpoint: Checkpoint,
        reservation: Reservation,
        *,
        is_new: bool,
    ) -> None:
        self._root = root
        self._walk = walk
        self._checkpoint = checkpoint
        self._reservation = reservation
        self._is_new = is_new
        self._meter = ProgressMeter(walk.bytes)
        self._expected = False

    async def run(self, progress: Progress, counts: Callable[[CID], bool]) -> None:
        """To the end. Raises PinWithdrawn once it does not count any more, and what a walk raises."""
        async with aclosing(self._walk.pages()) as pages:
            async for page in pages:
                if not counts(self._root):
                    raise PinWithdrawn(self._root)
                pending = page[-1].pending
                if pending:
                    await self._expect(page)
                progress(self._meter.read(self._walk.visited, self._walk.bytes, pending))
                await self._checkpoint.when_due()

    async def _expect(self, page: Sequence[Visit]) -> None:
        """What is to come, as the root says: at once where room is reserved for it, else for a long walk."""
        if self._expected:
            self._reservation.took(sum(visit.size for visit in page))
        elif (root := self._walk.root) and (self._is_new or self._meter.seconds() > _LONG):
            self._expected = True
            if below := claimed_size(root):
                self._meter.claimed = below + len(root.data)
            if self._is_new:
                await self._reservation.need(below)
