"""A worker pool: operations of the backlog, looked at in groups; a few tasks perform what that leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from blockstore.common.guard import Guard
from cluster.common.loops import steadily
from cluster.tracking.backlog import Backlog
from cluster.tracking.executor import Executor
from cluster.tracking.group_executor import GroupExecutor
from cluster.tracking.operation import Operation

_FAULT = "a fault of this program: its log says more, please report it"

_log = logging.getLogger(__name__)

_Take = Callable[[float], Operation | None]
_TakeMany = Callable[[float], list[Operation]]
_Look = Callable[[Sequence[Operation]], Awaitable[Sequence[Operation]]]


class Workers:
    """`count` workers for pins and one for unpins, one more for groups of each.

    What a caller waits for has a task of its own.
    """

    def __init__(
        self, backlog: Backlog, executor: Executor, groups: GroupExecutor, count: int, guard: Guard
    ) -> None:
        self._backlog = backlog
        self._executor = executor
        self._groups = groups
        self._count = count
        self._guard = guard

    async def run(self) -> None:
        """Work until cancelled."""
        queue, groups = self._backlog.queue, self._groups
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._working("pinning", queue.take_pin))
            group.create_task(self._working("unpinning", queue.take_unpin))
            group.create_task(self._sorting("pinning", queue.take_new_pins, groups.pin_many))
            group.create_task(self._sorting("unpinning", queue.take_new_unpins, groups.unpin_many))
            await steadily(self._guard, "pinning", "what is here", lambda: self._start_next(group))

    async def _start_next(self, group: asyncio.TaskGroup) -> None:
        """All that callers wait for now, beside whatever else runs."""
        group.create_task(self._pin_here(await self._backlog.next_new(self._backlog.queue.take_here)))

    async def _pin_here(self, operations: Sequence[Operation]) -> None:
        left = await self._look(operations, self._groups.pin_many)
        for operation in operations:
            if operation not in left:
                self._backlog.finish(operation)
        async with asyncio.TaskGroup() as group:
            for operation in left:
                group.create_task(self._run(operation))

    async def _sorting(self, what: str, take: _TakeMany, look: _Look) -> None:
        await steadily(self._guard, what, "a group", lambda: self._sort(take, look))

    async def _sort(self, take: _TakeMany, look: _Look) -> None:
        operations = await self._backlog.next_new(take)
        self._backlog.sort(operations, await self._look(operations, look))

    async def _look(self, operations: Sequence[Operation], look: _Look) -> frozenset[Operation]:
        """Those that are left; a bug that one of them meets is met again when it is performed alone."""
        left: Sequence[Operation] = operations
        with self._guard.around("looking at", f"{len(operations)} operations"):
            left = await look(operations)
        return frozenset(left)

    async def _working(self, what: str, take: _Take) -> None:
        await steadily(self._guard, what, "a worker", lambda: self._work(take))

    async def _work(self, take: _Take) -> None:
        await self._run(await self._backlog.next_known(take))

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
