"""A bounded priority queue of operations, one for each CID: what this member does about it. Plain values.

Priority lanes. Pins whose blocks are here already, and for which a caller waits, need no worker: each begins
at once, so that an add never waits behind fetches. Fresh pins go before other pins, and retries of failed
ones take at most a part of the workers: a hopeless CID costs its own time only. With more than one worker,
one is always there for retries, so that a long catch-up does not stop them. Unpins have a lane of their own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from blockstore.cid import CID
from cluster.pin import Progress
from cluster.ports import OperationKind


class Lane(Enum):
    HERE = "here"  # its blocks are here, and a caller waits: bounded by the callers, not by the queue
    FRESH = "fresh"
    NORMAL = "normal"
    RETRY = "retry"
    UNPIN = "unpin"

    @property
    def kind(self) -> OperationKind:
        return OperationKind.UNPIN if self is Lane.UNPIN else OperationKind.PIN


@dataclass(slots=True, eq=False)
class Operation:
    """One CID being worked on, or waiting for it. `successor` is what follows when this one ends.

    `failure` is why it did not succeed, once that is known. `ended` is there when a caller waits for the end.
    """

    cid: CID
    lane: Lane
    since: float  # seconds since 1970, when it began to wait or to run
    running: bool = False
    progress: Progress | None = None
    successor: Lane | None = None
    cancel: Callable[[], object] | None = None
    failure: str = ""
    ended: asyncio.Event | None = None

    @property
    def kind(self) -> OperationKind:
        return self.lane.kind

    @property
    def is_priority(self) -> bool:
        return self.lane in _PRIORITY


_PRIORITY = frozenset({Lane.HERE, Lane.FRESH})


class OperationQueue:
    """At most `size` waiting operations a lane; a CID has at most one operation, waiting or running."""

    def __init__(self, size: int, workers: int) -> None:
        self._size = size
        self._workers = workers
        self._operations: dict[CID, Operation] = {}
        self._waiting: dict[Lane, OrderedDict[CID, Operation]] = {lane: OrderedDict() for lane in Lane}
        self._running: Counter[Lane] = Counter()

    def __len__(self) -> int:
        return len(self._operations)

    def get(self, cid: CID) -> Operation | None:
        return self._operations.get(cid)

    def room(self, lane: Lane) -> int:
        return max(0, self._size - len(self._waiting[lane]))

    def waiting(self, lane: Lane) -> int:
        return len(self._waiting[lane])

    def running(self) -> int:
        return self._running.total()

    def operations(self) -> Iterable[Operation]:
        return self._operations.values()

    def put(self, cid: CID, lane: Lane, now: float) -> bool:
        """Have this done about that CID, in place of what waits; false when the lane is full.

        A running operation of the other kind is cancelled, and this one follows when it has ended; one of the
        same kind ends first and is then looked at again, because what is wished may have changed meanwhile.
        """
        operation = self._operations.get(cid)
        if operation is None:
            return self._add(cid, lane, now)
        if operation.running:
            operation.successor = lane
            if operation.kind is not lane.kind and operation.cancel is not None:
                operation.cancel()
            return True
        if operation.lane is lane or (operation.kind is lane.kind and operation.is_priority):
            return True
        if not self.room(lane):
            return operation.kind is lane.kind
        self._withdraw(operation)
        return self._add(cid, lane, now)

    def put_if_idle(self, cid: CID, lane: Lane, now: float) -> bool:
        """Like `put`, and true without a change when anything is going on about that CID."""
        return cid in self._operations or self._add(cid, lane, now)

    def expedite(self, cid: CID, now: float) -> Operation:
        """Its operation: the running one, else one in the lane HERE. It has an `ended` to wait for."""
        operation = self._operations.get(cid)
        if operation is not None and not operation.running and operation.lane is not Lane.HERE:
            self._withdraw(operation)
            operation = None
        if operation is None:
            operation = self._insert(Operation(cid, Lane.HERE, now))
        operation.ended = operation.ended or asyncio.Event()
        return operation

    def take_here(self, now: float) -> Operation | None:
        return self._take(Lane.HERE, now) if self._waiting[Lane.HERE] else None

    def take_pin(self, now: float) -> Operation | None:
        """The next pin to work on, from the lane whose turn it is."""
        retries = self._running[Lane.RETRY]
        if self._workers > 1 and not retries and self._waiting[Lane.RETRY]:
            return self._take(Lane.RETRY, now)
        lanes = [Lane.FRESH, Lane.NORMAL]
        if retries < max(1, self._workers // 2):
            lanes.append(Lane.RETRY)
        return next((self._take(lane, now) for lane in lanes if self._waiting[lane]), None)

    def take_unpin(self, now: float) -> Operation | None:
        return self._take(Lane.UNPIN, now) if self._waiting[Lane.UNPIN] else None

    def finish(self, operation: Operation, now: float) -> bool:
        """It has ended, one way or the other; false when its successor found no room."""
        del self._operations[operation.cid]
        self._running[operation.lane] -= 1
        _end(operation)
        return operation.successor is None or self._add(operation.cid, operation.successor, now)

    def _add(self, cid: CID, lane: Lane, now: float) -> bool:
        if not self.room(lane):
            return False
        self._insert(Operation(cid, lane, now))
        return True

    def _insert(self, operation: Operation) -> Operation:
        self._operations[operation.cid] = self._waiting[operation.lane][operation.cid] = operation
        return operation

    def _withdraw(self, operation: Operation) -> None:
        """One that waits is replaced by another."""
        del self._waiting[operation.lane][operation.cid], self._operations[operation.cid]
        _end(operation)

    def _take(self, lane: Lane, now: float) -> Operation:
        _, operation = self._waiting[lane].popitem(last=False)
        self._running[lane] += 1
        operation.running, operation.since = True, now
        return operation


def _end(operation: Operation) -> None:
    if operation.ended is not None:
        operation.ended.set()
