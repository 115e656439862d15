"""The prefetch window, a congestion window (doubled, halved) over blocks that a reader will want next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.read_budget import MAX_SHARE, MIN_SHARE, Share

FIRST = 512 * 1024  # bytes asked for to begin with: a first byte does not wait for what comes later
NEAR = 4 * 1024 * 1024  # bytes under way where they come at once
SMALL = 32 * 1024  # bytes that a block is taken to have at least, whatever its parent claims
_REMOTE = 0.05  # seconds that a block may take until it counts as one from a remote source
_SOON = 2.0  # seconds from asking to arrival within which more is asked for,
_LATE = 4.0  # and above which less


@asynccontextmanager
async def prefetching(source: BlockSource) -> AsyncIterator[PrefetchWindow]:
    """Be one of the readers for the length of the block; what is under way at its end is withdrawn."""
    with source.read_budget.reading() as share:
        window = PrefetchWindow(source, share)
        try:
            yield window
        finally:
            await window.close()


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
    def arrived(self) -> Block | None:
        """The block, once it has come."""
        if not self.task.done() or self.task.cancelled() or self.task.exception():
            return None
        return self.task.result()[self.place]


class PrefetchWindow:
    """What one reader has under way. Many blocks a request while they come at once, else one a request.

    The window adapts to the line at most once a round trip: it doubles while blocks take long to come though
    little was asked for, and halves when they take seconds, because then they wait in a queue. Of slow
    sources each block has its turn before a reader's deadline.
    """

    def __init__(self, source: BlockSource, share: Share) -> None:
        self._source = source
        self._share = share
        self._max_bytes = FIRST
        self.is_remote = False
        """Whether blocks come from a remote source: each is asked for on its own then."""
        self._changed_at = float("-inf")
        self._running: set[asyncio.Task[list[Block]]] = set()
        self._bytes = 0
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return (
            f"<PrefetchWindow {self._bytes} of {self._max_bytes} bytes{', remote' if self.is_remote else ''}>"
        )

    @property
    def room(self) -> int:
        """Bytes that may be asked for now; 0 until half of what may be under way has come and was taken."""
        share = self._share()
        limit = min(self._max_bytes, share)
        if share < MIN_SHARE or self._bytes > limit // 2:
            return 0
        return limit - self._bytes

    def begin(self, wanted: Sequence[tuple[CID, int]]) -> list[Prefetched]:
        """Ask for these, each with the bytes that it is taken to have."""
        groups = [[one] for one in wanted] if self.is_remote else [wanted] if wanted else []
        return [prefetched for group in groups for prefetched in self._ask(group)]

    async def take(self, prefetched: Prefetched) -> Block:
        """Wait for it. Raises what asking for it alone raises."""
        waits = not prefetched.task.done()
        try:
            block = await self._of(prefetched)
        finally:
            self._bytes -= prefetched.size
        self._adapt(prefetched, waits)
        return block

    async def _of(self, prefetched: Prefetched) -> Block:
        """Where others of its request are late or cannot be had, the block is asked for on its own."""
        if prefetched.alone:
            return (await prefetched.task)[0]
        await asyncio.wait((prefetched.task,), timeout=_REMOTE)
        if block := prefetched.arrived:
            return block
        return (await self._source.get_many([prefetched.cid]))[0]

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
            task.exception()  # raised where the block is taken, if it still is

    def _adapt(self, prefetched: Prefetched, waited: bool) -> None:
        """Adapts the window at most once per round trip: by blocks that were asked for since it last changed.

        Of a block that came before it was waited for, it is unknown how long it took.
        """
        if prefetched.began < self._changed_at:
            return
        took = self._loop.time() - prefetched.began if waited else 0.0
        if waited:
            self.is_remote = took > _REMOTE
        if took > _LATE:
            self._max_bytes = max(self._max_bytes // 2, SMALL)
        elif (waited and took < _SOON) if self.is_remote else self._max_bytes < NEAR:
            self._max_bytes = min(2 * self._max_bytes, MAX_SHARE)
        else:
            return
        self._changed_at = self._loop.time()
