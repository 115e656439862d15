"""Structured tasks: what runs beside a block of code, and what ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from blockstore.common.guard import Guard

T = TypeVar("T")


class Tasks:
    """Short-lived tasks inside one group: all of them end with it, and one that fails ends the group.

    So whatever works on what a peer sent runs under a `blockstore.common.guard.Guard`.
    """

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: set[asyncio.Task[None]] = set()
        self.closed = False

    def __repr__(self) -> str:
        return f"<Tasks: {len(self._running)} running{', closed' if self.closed else ''}>"

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run it beside the others; after `close` it is not begun."""
        if self.closed:
            work.close()
            return
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def close(self) -> None:
        """Cancel what runs; nothing begins from now on."""
        self.closed = True
        for task in tuple(self._running):
            task.cancel()


@asynccontextmanager
async def open_tasks() -> AsyncIterator[Tasks]:
    """Tasks for the length of a block. An error of it or of one task comes out as it is, in no group."""
    with _alone():
        async with asyncio.TaskGroup() as group:
            tasks = Tasks(group)
            try:
                yield tasks
            finally:
                tasks.close()


class GuardedTasks:
    """Tasks that go on when one of them fails: that one is logged, and counted by the guard."""

    def __init__(self, guard: Guard, about: str) -> None:
        self._guard = guard
        self._about = about  # whose tasks these are, for the log
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[object, object, None]) -> Callable[[], object]:
        """Run it beside the others; returns what cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task.cancel

    async def close(self) -> None:
        """Cancel what runs, and wait until it has ended."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            with self._guard.around("a task", self._about):
                task.result()


@asynccontextmanager
async def open_guarded_tasks(guard: Guard, about: str) -> AsyncIterator[GuardedTasks]:
    """Tasks for the length of a block, whatever becomes of each of them."""
    tasks = GuardedTasks(guard, about)
    try:
        yield tasks
    finally:
        await tasks.close()


@asynccontextmanager
async def background(*loops: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run these beside the block and cancel them at its end; if one fails, the block fails with its error."""
    async with open_tasks() as tasks:
        for loop in loops:
            tasks.spawn(loop)
        yield


async def let_go(task: asyncio.Future[T]) -> None:
    """Cancel what is not waited for any more, and wait until it has ended; how does not matter then."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at, or asyncio would log it


@contextmanager
def _alone() -> Iterator[None]:
    """A single failure of a group, without the group."""
    try:
        yield
    except BaseExceptionGroup as failures:
        if len(failures.exceptions) > 1:
            raise
        raise failures.exceptions[0] from None
