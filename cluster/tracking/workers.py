"""A worker pool: a few tasks perform the operations of the backlog, one at a time each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from blockstore.common.guard import Guard
from cluster.common.loops import steadily
from cluster.tracking.backlog import Backlog
from cluster.tracking.executor import Executor
from cluster.tracking.operation_queue import Operation

_FAULT = "a fault of this program: its log says more, please report it"

_log = logging.getLogger(__name__)


class Workers:
    """`count` workers for pins and one for unpins. What a caller waits for has a task of its own."""

    def __init__(self, backlog: Backlog, executor: Executor, count: int, guard: Guard) -> None:
        self._backlog = backlog
        self._executor = executor
        self._count = count
        self._guard = guard

    async def run(self) -> None:
        """Work until cancelled."""
        queue = self._backlog.queue
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._working("pinning", queue.take_pin))
            group.create_task(self._working("unpinning", queue.take_unpin))
            await steadily(self._guard, "pinning", "what is here", lambda: self._start_next(group))

    async def _start_next(self, group: asyncio.TaskGroup) -> None:
        operation = await self._backlog.next(self._backlog.queue.take_here)
        group.create_task(self._run(operation))

    async def _working(self, what: str, take: Callable[[float], Operation | None]) -> None:
        await steadily(self._guard, what, "a worker", lambda: self._work(take))

    async def _work(self, take: Callable[[float], Operation | None]) -> None:
        await self._run(await self._backlog.next(take))

    async def _run(self, operation: Operation) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                operation.cancel = group.create_task(self._perform(operation)).cancel
        finally:
            self._backlog.finish(operation)

    async def _perform(self, operation: Operation) -> None:
        ended = False
        with self._guard.around(operation.kind.value, str(operation.cid)):
            try:
                if not await self._executor.perform(operation):
                    self._backlog.failed.set()
            except OSError as error:
                # The disk is full: there is no place to note the failure. The next pass finds the CID again.
                operation.failure = operation.failure or str(error)
                _log.warning("cannot record the failure of %s: %s", operation.cid, error)
            ended = True
        if not ended:
            await self._give_up(operation)

    async def _give_up(self, operation: Operation) -> None:
        """A fault of this program, logged already: its CID waits as after any other failure."""
        with self._guard.around("noting the failure of", str(operation.cid), OSError):
            await self._executor.failed(operation, _FAULT)
            self._backlog.failed.set()
