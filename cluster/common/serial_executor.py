"""A serial executor: jobs run one after the other, each to its end, even when its caller goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class SerialExecutor:
    """What runs here never runs beside anything else that does."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._jobs: set[object] = set()  # a loop alone keeps no task alive

    async def run(self, job: Callable[[], Awaitable[T]]) -> T:
        """The job's result, once those before it have ended. Cancelling does not take the job back."""

        async def in_turn() -> T:
            async with self._lock:
                return await job()

        task = asyncio.get_running_loop().create_task(in_turn())
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return await asyncio.shield(task)

    async def idle(self) -> None:
        """Wait for jobs whose callers have gone away."""
        await self.run(_nothing)


async def _nothing() -> None:
    """A job that is over when all before it are."""
