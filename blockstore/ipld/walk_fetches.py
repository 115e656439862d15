"""The missing blocks of a walk: asked for in lists first, and what no source of lists gives one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import NamedTuple

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import RAW
from blockstore.ipld.walk_frontier import WalkStep

_FLIGHT_BYTES = 32 * 1024 * 1024
_NODES_IN_FLIGHT = 64
_LEAVES_IN_FLIGHT = (16, 256)
_WAITING = 64
_OFFERED = 4096
_LISTS = 2  # at once, so that the next one is under way when one ends
_LIST_STEPS = 4096
_LEAF_LIST_BYTES, _NODE_LIST_BYTES = 64 * 1024 * 1024, 4 * 1024 * 1024  # as far as sizes are known
_GROUPS_AHEAD = 2  # that came and are not visited yet
_USUAL_LEAF, _USUAL_NODE = 1024 * 1024.0, 16 * 1024.0  # bytes, until some have come

_Result = Callable[[], Sequence["Arrived"]]


class Arrived(NamedTuple):
    """A block that was missing and is in the store now; without `block` it links to nothing."""

    step: WalkStep
    size: int
    block: Block | None


@asynccontextmanager
async def open_fetches(blocks: Blocks) -> AsyncIterator[WalkFetches]:
    """Fetches that end with the block."""
    fetches = WalkFetches(blocks)
    try:
        yield fetches
    finally:
        await fetches.close()


class WalkFetches:
    """A queue of missing blocks. Two lists of them are asked for at a time, each in the order of the walk.

    What is left over is fetched in a window: 64 nodes, and leaves of 32 MiB together.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._offered: deque[WalkStep] = deque()  # not in a list yet
        self._listed = 0  # asked for in a list, or come and not visited yet
        self._lists: set[asyncio.Task[None]] = set()
        self._ahead = asyncio.Semaphore(_GROUPS_AHEAD)
        self._waiting: deque[WalkStep] = deque()  # for a place in the window
        self._running: set[asyncio.Task[Block]] = set()
        self._leaves = 0  # of those running
        self._done: asyncio.Queue[_Result] = asyncio.Queue()
        self._leaf_bytes, self._node_bytes = _USUAL_LEAF, _USUAL_NODE  # running averages

    def __len__(self) -> int:
        return len(self._offered) + self._listed + len(self._waiting) + len(self._running)

    @property
    def crowded(self) -> bool:
        return len(self._waiting) >= _WAITING or len(self._offered) >= _OFFERED

    def add(self, step: WalkStep) -> None:
        """One to each block."""
        self._offered.append(step)

    async def arrived(self, *, wait: bool) -> list[Arrived]:
        """Blocks that came; with `wait`, at least one unless none is missing. Raises what a fetch raised."""
        came: list[Arrived] = []
        self._start()
        while not self._done.empty() or (wait and not came and len(self)):
            came += (await self._done.get())()
            self._start()
        return came

    async def close(self) -> None:
        """Withdraw what is under way."""
        tasks = [*self._running, *self._lists]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self) -> None:
        while self._offered and len(self._lists) < _LISTS:
            asked = asyncio.create_task(self._ask(self._next_list()))
            self._lists.add(asked)
            asked.add_done_callback(self._list_ended)
        while self._waiting and self._has_room(self._waiting[0]):
            step = self._waiting.popleft()
            self._leaves += step.cid.codec == RAW
            task = asyncio.create_task(self._blocks.fetch(step.cid))
            self._running.add(task)
            task.add_done_callback(partial(self._ended, step))

    # Lists.

    def _next_list(self) -> list[WalkStep]:
        steps: list[WalkStep] = []
        share = 0.0  # of what one list may have
        while self._offered and share < 1 and len(steps) < _LIST_STEPS:
            step = self._offered.popleft()
            is_leaf = step.cid.codec == RAW
            share += self._leaf_bytes / _LEAF_LIST_BYTES if is_leaf else self._node_bytes / _NODE_LIST_BYTES
            steps.append(step)
        self._listed += len(steps)
        return steps

    async def _ask(self, steps: Sequence[WalkStep]) -> None:
        """What is not given waits for a place in the window."""
        left = {step.cid: step for step in steps}
        async with aclosing(self._blocks.fetch_groups(list(left))) as groups:
            async for group in groups:
                await self._ahead.acquire()
                came = [Arrived(left.pop(block.cid), len(block.data), block) for block in group]
                self._done.put_nowait(partial(self._take_group, came))
        for leaf in await self._leaves_here(list(left.values())):
            del left[leaf.step.cid]
            self._done.put_nowait(partial(self._take_leaf, leaf))
        self._listed -= len(left)
        self._waiting += left.values()

    async def _leaves_here(self, steps: Sequence[WalkStep]) -> list[Arrived]:
        """Those that another request has stored meanwhile, where they need not be read."""
        stats = await self._blocks.store.stat([step.cid for step in steps]) if steps else []
        return [
            Arrived(step, stat.size, None)
            for step, stat in zip(steps, stats, strict=True)
            if stat is not None and not stat.links
        ]

    def _take_group(self, came: Sequence[Arrived]) -> Sequence[Arrived]:
        self._ahead.release()
        self._listed -= len(came)
        for one in came:
            self._note(one)
        return came

    def _take_leaf(self, leaf: Arrived) -> Sequence[Arrived]:
        self._listed -= 1
        return (leaf,)

    def _list_ended(self, task: asyncio.Task[None]) -> None:
        self._lists.discard(task)
        self._done.put_nowait(partial(_nothing_of, task))

    # Single blocks.

    def _has_room(self, step: WalkStep) -> bool:
        if step.cid.codec != RAW:
            return len(self._running) - self._leaves < _NODES_IN_FLIGHT
        low, high = _LEAVES_IN_FLIGHT
        return self._leaves < max(low, min(int(_FLIGHT_BYTES / (self._leaf_bytes + 1)), high))

    def _ended(self, step: WalkStep, task: asyncio.Task[Block]) -> None:
        self._done.put_nowait(partial(self._take, step, task))

    def _take(self, step: WalkStep, task: asyncio.Task[Block]) -> Sequence[Arrived]:
        self._running.discard(task)
        self._leaves -= step.cid.codec == RAW
        block = task.result()
        came = Arrived(step, len(block.data), block)
        self._note(came)
        return (came,)

    def _note(self, came: Arrived) -> None:
        if came.step.cid.codec == RAW:
            self._leaf_bytes += (came.size - self._leaf_bytes) / 16
        else:
            self._node_bytes += (came.size - self._node_bytes) / 16


def _nothing_of(task: asyncio.Task[None]) -> Sequence[Arrived]:
    """Of a list that has ended. Raises what ended it."""
    if not task.cancelled():
        task.result()
    return ()
