"""Blocks asked for ahead of their turn: as many as a reader may hold, and as many as a long line takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.prefetch.read_budget import LEAST, MOST, Share, reading

FIRST = 512 * 1024  # bytes asked for to begin with: a first byte does not wait for what comes later
NEAR = 4 * 1024 * 1024  # bytes under way where they come at once
SMALL = 32 * 1024  # bytes that a block is taken to have at least, whatever others claim of it
_FAR = 0.05  # seconds that a block may take until it counts as one from far away
_SOON = 2.0  # seconds from asking to arrival within which more is asked for,
_LATE = 4.0  # and above which less


@asynccontextmanager
async def loading(source: BlockSource) -> AsyncIterator[PrefetchWindow]:
    """Be one of the readers for the length of the block; what is under way at its end is withdrawn."""
    with reading() as share:
        loads = PrefetchWindow(source, share)
        try:
            yield loads
        finally:
            await loads.close()


@dataclass(frozen=True, slots=True)
class Prefetched:
    """A block on its way, perhaps together with others. `size`: the bytes that it is taken to have."""

    cid: CID
    size: int
    began: float
    task: asyncio.Task[list[Block]]
    place: int
    alone: bool

    @property
    def here(self) -> Block | None:
        """The block, once it has come."""
        if not self.task.done() or self.task.cancelled() or self.task.exception():
            return None
        return self.task.result()[self.place]


class PrefetchWindow:
    """What one reader has under way. Many blocks a request while they come at once, one a request from afar.

    How much that is follows the line: what took long to come, though little was asked for, is far away, so
    more is asked for at once, round by round; what takes seconds waits in a queue, so less is. Of slow
    sources each block has its turn before a reader's patience ends.
    """

    def __init__(self, source: BlockSource, share: Share) -> None:
        self._source = source
        self._share = share
        self._most = FIRST
        self.far = False
        """Whether blocks take their time: each is asked for on its own then."""
        self._changed_at = float("-inf")
        self._running: set[asyncio.Task[list[Block]]] = set()
        self._bytes = 0
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<Loads {self._bytes} of {self._most} bytes{' from afar' if self.far else ''}>"

    @property
    def room(self) -> int:
        """Bytes that may be asked for now; 0 until half of what may be under way has come and was taken."""
        share = self._share()
        most = min(self._most, share)
        if share < LEAST or self._bytes > most // 2:
            return 0
        return most - self._bytes

    def begin(self, wanted: Sequence[tuple[CID, int]]) -> list[Prefetched]:
        """Ask for these, each with the bytes that it is taken to have."""
        groups = [[one] for one in wanted] if self.far else [wanted] if wanted else []
        return [load for group in groups for load in self._ask(group)]

    async def take(self, load: Prefetched) -> Block:
        """Wait for it. Raises what asking for it alone raises."""
        waits = not load.task.done()
        try:
            block = await self._of(load)
        finally:
            self._bytes -= load.size
        self._learn(load, waits)
        return block

    async def _of(self, load: Prefetched) -> Block:
        """Others that are late or cannot be had keep nobody waiting: each block has its own turn then."""
        if load.alone:
            return (await load.task)[0]
        await asyncio.wait((load.task,), timeout=_FAR)
        if block := load.here:
            return block
        return (await self._source.get_many([load.cid]))[0]

    async def close(self) -> None:
        """Withdraw what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ask(self, group: Sequence[tuple[CID, int]]) -> list[Prefetched]:
        began, cids = self._loop.time(), [cid for cid, _ in group]
        self._running.add(task := asyncio.create_task(self._source.get_many(cids)))
        task.add_done_callback(self._ended)
        self._bytes += sum(size for _, size in group)
        alone = len(group) == 1
        return [Prefetched(cid, size, began, task, place, alone) for place, (cid, size) in enumerate(group)]

    def _ended(self, task: asyncio.Task[list[Block]]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # told where the block is taken, if it still is

    def _learn(self, load: Prefetched, waited: bool) -> None:
        """Once a round: only what was asked for since the last change says anything of it.

        What came before it was waited for took nobody knows how long.
        """
        if load.began < self._changed_at:
            return
        took = self._loop.time() - load.began if waited else 0.0
        if waited:
            self.far = took > _FAR
        if took > _LATE:
            self._most = max(self._most // 2, SMALL)
        elif (waited and took < _SOON) if self.far else self._most < NEAR:
            self._most = min(2 * self._most, MOST)
        else:
            return
        self._changed_at = self._loop.time()
