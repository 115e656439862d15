"""Run loops for the length of a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


@asynccontextmanager
async def background(*loops: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """The loops run until the block ends; a loop that fails ends the block, loudly."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(loop) for loop in loops]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
