"""The walk of one root that is to be kept: room reserved, progress told, and its place kept now and then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing

from blockstore.cid import CID
from blockstore.errors import AboveMaxSize, PinWithdrawn
from blockstore.ipld.claimed_size import claimed_size
from blockstore.ipld.dag_walk import DagWalk, Visit
from blockstore.pinning.checkpoints import Checkpoint
from blockstore.pinning.pin_progress import PinProgress, ProgressMeter
from blockstore.upkeep import Reservation

Progress = Callable[[PinProgress], None]
"""Called for each page of blocks; must not block."""

_LONG = 1.0  # seconds


class RootWalk:
    """`is_new`: the root was not here before, so room is reserved for what it says is below it.

    `max_size`: bytes of the whole at most; 0 = any number.
    """

    def __init__(
        self,
        root: CID,
        walk: DagWalk,
        checkpoint: Checkpoint,
        reservation: Reservation,
        *,
        is_new: bool,
        max_size: int = 0,
    ) -> None:
        self._root = root
        self._walk = walk
        self._checkpoint = checkpoint
        self._reservation = reservation
        self._is_new = is_new
        self._max_size = max_size
        self._meter = ProgressMeter(walk.bytes)
        self._expected = False

    async def run(self, progress: Progress, counts: Callable[[CID], bool]) -> None:
        """To the end.

        Raises PinWithdrawn once it does not count any more, AboveMaxSize, and what a walk raises.
        """
        async with aclosing(self._walk.pages()) as pages:
            async for page in pages:
                if not counts(self._root):
                    raise PinWithdrawn(self._root)
                pending = page[-1].pending
                if self._max_size:
                    self._check_size(pending)
                if pending:
                    await self._expect(page)
                progress(self._meter.read(self._walk.visited, self._walk.bytes, pending))
                await self._checkpoint.when_due()

    def _check_size(self, pending: int) -> None:
        """By what is here, and by what the root says while more of it is to come. Raises AboveMaxSize."""
        if self._walk.bytes > self._max_size:
            raise AboveMaxSize(self._max_size, f"{self._walk.bytes} bytes of it are here")
        root = self._walk.root if pending else None
        if root and (claimed := claimed_size(root) + len(root.data)) > self._max_size:
            raise AboveMaxSize(self._max_size, f"its root says that it has {claimed}")

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
