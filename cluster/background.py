"""Loops that live as long as a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


@asynccontextmanager
async def background(*loops: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run these beside the block and cancel them at its end; if one fails, the block fails with its error."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(loop) for loop in loops]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
    except BaseExceptionGroup as failures:
        if len(failures.exceptions) > 1:
            raise
        raise failures.exceptions[0] from None
