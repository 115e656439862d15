"""The missing blocks of a walk, fetched many at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import RAW
from blockstore.ipld.walk_frontier import WalkStep

_FLIGHT_BYTES = 32 * 1024 * 1024
_NODES_IN_FLIGHT = 64
_LEAVES_IN_FLIGHT = (16, 256)
_WAITING = 64


@asynccontextmanager
async def open_fetches(blocks: Blocks) -> AsyncIterator[WalkFetches]:
    """Fetches that end with the block."""
    running: set[asyncio.Task[Block]] = set()
    try:
        yield WalkFetches(blocks, running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class WalkFetches:
    """Missing blocks: a queue, and a window of them in flight: 64 nodes, and leaves of 32 MiB together."""

    def __init__(self, blocks: Blocks, running: set[asyncio.Task[Block]]) -> None:
        self._blocks = blocks
        self._running = running
        self._leaves = 0  # of those running
        self._waiting: deque[WalkStep] = deque()
        self._done: asyncio.Queue[tuple[WalkStep, asyncio.Task[Block]]] = asyncio.Queue()
        self._leaf_bytes = 1024 * 1024.0  # a running average, begun at the usual chunk

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    @property
    def crowded(self) -> bool:
        return len(self._waiting) >= _WAITING

    def add(self, step: WalkStep) -> None:
        self._waiting.append(step)

    async def arrived(self, *, wait: bool) -> list[tuple[WalkStep, Block]]:
        """Blocks that came; with `wait`, at least one unless none is missing. Raises what a fetch raised."""
        self._start()
        came: list[tuple[WalkStep, Block]] = []
        while not self._done.empty() or (wait and not came and self._running):
            step, task = await self._done.get()
            self._running.discard(task)
            block = task.result()
            if step.cid.codec == RAW:
                self._leaves -= 1
                self._leaf_bytes += (len(block.data) - self._leaf_bytes) / 16
            came.append((step, block))
        self._start()
        return came

    def _start(self) -> None:
        while self._waiting and self._has_room(self._waiting[0]):
            step = self._waiting.popleft()
            self._leaves += step.cid.codec == RAW
            task = asyncio.create_task(self._blocks.get(step.cid))
            self._running.add(task)
            task.add_done_callback(partial(self._ended, step))

    def _has_room(self, step: WalkStep) -> bool:
        if step.cid.codec != RAW:
            return len(self._running) - self._leaves < _NODES_IN_FLIGHT
        low, high = _LEAVES_IN_FLIGHT
        return self._leaves < max(low, min(int(_FLIGHT_BYTES / (self._leaf_bytes + 1)), high))

    def _ended(self, step: WalkStep, task: asyncio.Task[Block]) -> None:
        self._done.put_nowait((step, task))
