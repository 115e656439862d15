"""The queue of operations, and the events that wake workers, callers and the next pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable

from blockstore.cid import CID
from cluster.tracking.operation import Lane, Operation, Wished
from cluster.tracking.operation_queue import OperationQueue
from cluster.tracking.status_feed import StatusFeed


class Backlog:
    """Work that this member knows of. Nothing here is durable: pinset, local pins and attempts are.

    `missed` is set when an operation found no room in its lane, `failed` when one failed. `behind` is true
    until a pass over the pinset has found nothing that is not queued.
    """

    def __init__(self, queue: OperationQueue, now: Callable[[], float], feed: StatusFeed) -> None:
        """`now` is the wall clock in seconds since 1970; `feed` hears what becomes of operations."""
        self.queue = queue
        self.feed = feed
        self.behind = True
        self.missed = asyncio.Event()
        self.failed = asyncio.Event()
        self._now = now
        self._new = _Bell()
        self._known = _Bell()
        self._ended = _Bell()
        self._room = asyncio.Event()

    def put_many(self, wanted: Iterable[tuple[CID, Lane, Wished]]) -> None:
        """Queue these, the pinset saying that; what finds no room is found by the next pass."""
        now, put = self._now(), self.queue.put
        for cid, lane, wished in wanted:
            if not put(cid, lane, now, wished):
                self._miss()
        self._wake()

    def put_if_idle(self, cid: CID, lane: Lane) -> bool:
        """Queue it unless an operation of that CID waits or runs; false when the lane is full."""
        accepted = self.queue.put_if_idle(cid, lane, self._now())
        self._wake()
        return accepted

    async def put_when_room(self, cid: CID, lane: Lane) -> None:
        """Like `put_if_idle`, waiting as long as the lane is full."""
        while not self.put_if_idle(cid, lane):
            self._room.clear()
            await self._room.wait()

    async def expedited(self, cid: CID) -> Operation:
        """Have its operation begin at once, unless it runs already, and return it when it has ended."""
        operation = self.queue.expedite(cid, self._now())
        self._wake()
        if operation.ended is not None:
            await operation.ended.wait()
        return operation

    async def removals_done(self) -> None:
        """Return when what is about to be let go now was let go, or could not be."""
        asked = self.queue.removals()
        while asked := asked & self.queue.removals():
            await self._ended.rung()

    async def next_new(self, take: Callable[[float], list[Operation]]) -> list[Operation]:
        """What `take` gives of what was not looked at, as soon as there is something."""
        while not (taken := take(self._now())):
            await self._new.rung()
        self._room.set()
        return taken

    async def next_known(self, take: Callable[[float], Operation | None]) -> Operation:
        """What `take` gives of what takes a worker of its own, as soon as there is something."""
        while (operation := take(self._now())) is None:
            await self._known.rung()
        self._room.set()
        self.feed.begun(operation)
        return operation

    def finish(self, operation: Operation) -> None:
        """It has ended, one way or the other; its successor is queued."""
        if not self.queue.finish(operation, self._now()):
            self._miss()
        self.feed.ended([operation])
        self._room.set()
        self._ended.ring()
        self._wake()

    def sort(self, operations: Iterable[Operation], left: Container[Operation]) -> None:
        """These were looked at together: each has ended, or is left and waits for a worker of its own.

        One that a change came to meanwhile has ended too, for its successor looks again.
        """
        now = self._now()
        ended: list[Operation] = []
        for operation in operations:
            if operation in left and operation.successor is None:
                self.queue.put_back(operation, now)
                continue
            ended.append(operation)
            if not self.queue.finish(operation, now):
                self._miss()
        self.feed.ended(ended)
        self._room.set()
        self._ended.ring()
        self._wake()

    def _miss(self) -> None:
        self.behind = True
        self.missed.set()

    def _wake(self) -> None:
        """Tasks that may find something now: workers are not woken for what is looked at in groups."""
        self._new.ring()
        if self.queue.has_known:
            self._known.ring()


class _Bell:
    """Wakes all tasks that wait for it; to ring it never waits, as a Condition would for its lock."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()  # replaced each time it is set
        self._is_awaited = False

    def ring(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._rung.set()
            self._rung = asyncio.Event()

    async def rung(self) -> None:
        self._is_awaited = True
        await self._rung.wait()
