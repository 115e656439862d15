"""A bounded priority queue of operations, one for each CID: what this member does about it. Plain values.

Priority lanes. Pins whose blocks are here already, and for which a caller waits, need no worker: each begins
at once, so that an add never waits behind fetches. Fresh pins go before other pins, and retries of failed
ones take at most a part of the workers: a hopeless CID costs its own time only. With more than one worker,
one is always there for retries, so that a long catch-up does not stop them. Unpins have a lane of their own.

Whatever is new is looked at in groups first (`take_new_pins`): most of it is done by that. The rest is put
back, and waits for a worker of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from blockstore.cid import CID
from cluster.ports import OperationKind
from cluster.tracking.operation import Lane, Operation, Wished

_PINS = (Lane.FRESH, Lane.NORMAL)
_GROUP = 1000  # operations that are looked at together at most

_Lanes = dict[Lane, OrderedDict[CID, Operation]]


class OperationQueue:
    """At most `size` waiting operations a lane; a CID has at most one operation, waiting or running."""

    def __init__(self, size: int, workers: int) -> None:
        self._size = size
        self._workers = workers
        self._operations: dict[CID, Operation] = {}
        self._new: _Lanes = {lane: OrderedDict() for lane in Lane}
        self._known: _Lanes = {lane: OrderedDict() for lane in Lane}  # those looked at, and all retries
        self._running: Counter[Lane] = Counter()
        self.ended: Counter[OperationKind] = Counter()  # since the start, one way or the other
        self.failed: Counter[OperationKind] = Counter()  # of those
        self._being_looked_at: Counter[Lane] = Counter()  # they keep their places: some are put back
        self._started: dict[CID, Operation] = {}
        self._watchers: list[set[CID]] = []

    def __len__(self) -> int:
        return len(self._operations)

    def get(self, cid: CID) -> Operation | None:
        return self._operations.get(cid)

    def room(self, lane: Lane) -> int:
        return max(0, self._size - self.waiting(lane) - self._being_looked_at[lane])

    def waiting(self, lane: Lane) -> int:
        return len(self._new[lane]) + len(self._known[lane])

    @property
    def has_known(self) -> bool:
        """Whether something waits for a worker of its own."""
        return any(self._known.values())

    def running(self) -> int:
        return self._running.total()

    def running_in(self, lane: Lane) -> int:
        return self._running[lane]

    def operations(self) -> Iterable[Operation]:
        return self._operations.values()

    def started(self) -> Iterable[Operation]:
        """Those that run."""
        return self._started.values()

    def removals(self) -> set[CID]:
        """Those that are about to be let go because they were unpinned: the next look at them does it.

        Not those that other members are to hold: these are asked first.
        """
        unpins = (*self._new[Lane.UNPIN].values(), *self._known[Lane.UNPIN].values())
        waiting = {one.cid for one in unpins if not one.looked_at or one.wished is Wished.NOWHERE}
        return waiting | {one.cid for one in self._started.values() if _lets_go(one)}

    @contextmanager
    def watched(self) -> Generator[set[CID]]:
        """The CIDs of which operations begin, end or are asked for in the block."""
        touched: set[CID] = set()
        self._watchers.append(touched)
        try:
            yield touched
        finally:
            self._watchers = [one for one in self._watchers if one is not touched]

    def put(self, cid: CID, lane: Lane, now: float, wished: Wished | None = None) -> bool:
        """Have this done about that CID, in place of what waits; false when the lane is full.

        `wished` is what the pinset says of it from now on.

        A running operation of the other kind is cancelled, and this one follows when it has ended; one of the
        same kind ends first and is then looked at again, because what is wished may have changed meanwhile.
        """
        self._touch(cid)
        operation = self._operations.get(cid)
        if operation is None:
            return self._add(cid, lane, now, wished)
        if operation.running:
            operation.successor = lane
            if operation.kind is not lane.kind and operation.cancel is not None:
                operation.cancel()
            return True
        operation.wished = wished
        if operation.lane is lane or (operation.kind is lane.kind and operation.is_priority):
            return True
        if not self.room(lane):
            return operation.kind is lane.kind
        self._withdraw(operation)
        return self._add(cid, lane, now, wished)

    def put_if_idle(self, cid: CID, lane: Lane, now: float) -> bool:
        """Like `put`, and true without a change when anything is going on about that CID."""
        return cid in self._operations or self._add(cid, lane, now)

    def expedite(self, cid: CID, now: float) -> Operation:
        """Its operation: the running one, else one in the lane HERE. It has an `ended` to wait for."""
        operation = self._operations.get(cid)
        if operation is None:
            operation = self._insert(Operation(cid, Lane.HERE, now))
        elif not operation.running and operation.lane is not Lane.HERE:
            self._withdraw(operation)
            operation = self._insert(Operation(cid, Lane.HERE, now))
        operation.ended = operation.ended or asyncio.Event()
        return operation

    def take_here(self, now: float) -> list[Operation]:
        """All pins that callers wait for."""
        return self._take_new([Lane.HERE], now)

    def take_new_pins(self, now: float) -> list[Operation]:
        """Pins to be looked at together, fresh ones first."""
        return self._take_new(_PINS, now)

    def take_new_unpins(self, now: float) -> list[Operation]:
        return self._take_new([Lane.UNPIN], now)

    def put_back(self, operation: Operation, now: float) -> None:
        """It was looked at and not done: it waits for a worker of its own."""
        self._being_looked_at[operation.lane] -= 1
        self._running[operation.lane] -= 1
        operation.running, operation.looked_at, operation.since = False, True, now
        del self._started[operation.cid]
        self._touch(operation.cid)
        self._known[operation.lane][operation.cid] = operation

    def take_pin(self, now: float) -> Operation | None:
        """The next pin to work on, from the lane whose turn it is."""
        retries = self._running[Lane.RETRY]
        if self._workers > 1 and not retries and self._known[Lane.RETRY]:
            return self._take(Lane.RETRY, now)
        lanes = [*_PINS]
        if retries < max(1, self._workers // 2):
            lanes.append(Lane.RETRY)
        return next((self._take(lane, now) for lane in lanes if self._known[lane]), None)

    def take_unpin(self, now: float) -> Operation | None:
        """The next unpin that was looked at and not done."""
        return self._take(Lane.UNPIN, now) if self._known[Lane.UNPIN] else None

    def finish(self, operation: Operation, now: float) -> bool:
        """It has ended, one way or the other; false when its successor found no room."""
        del self._operations[operation.cid], self._started[operation.cid]
        self._running[operation.lane] -= 1
        if not operation.looked_at:
            self._being_looked_at[operation.lane] -= 1
        self._touch(operation.cid)
        self.ended[operation.kind] += 1
        self.failed[operation.kind] += bool(operation.failure)
        _end(operation)
        return operation.successor is None or self._add(operation.cid, operation.successor, now)

    def _touch(self, cid: CID) -> None:
        for touched in self._watchers:
            touched.add(cid)

    def _add(self, cid: CID, lane: Lane, now: float, wished: Wished | None = None) -> bool:
        if not self.room(lane):
            return False
        self._insert(Operation(cid, lane, now, wished=wished))
        return True

    def _insert(self, operation: Operation) -> Operation:
        operation.looked_at = operation.lane is Lane.RETRY
        lanes = self._known if operation.looked_at else self._new
        self._operations[operation.cid] = lanes[operation.lane][operation.cid] = operation
        self._touch(operation.cid)
        return operation

    def _withdraw(self, operation: Operation) -> None:
        """One that waits is replaced by another."""
        self._touch(operation.cid)
        lanes = self._known if operation.looked_at else self._new
        del lanes[operation.lane][operation.cid], self._operations[operation.cid]
        _end(operation)

    def _take(self, lane: Lane, now: float) -> Operation:
        _, operation = self._known[lane].popitem(last=False)
        return self._begin(operation, now)

    def _take_new(self, lanes: Sequence[Lane], now: float) -> list[Operation]:
        taken: list[Operation] = []
        for lane in lanes:
            while self._new[lane] and len(taken) < _GROUP:
                _, operation = self._new[lane].popitem(last=False)
                self._being_looked_at[lane] += 1
                taken.append(self._begin(operation, now))
        return taken

    def _begin(self, operation: Operation, now: float) -> Operation:
        self._running[operation.lane] += 1
        operation.running, operation.since = True, now
        self._started[operation.cid] = operation
        self._touch(operation.cid)
        return operation


def _lets_go(running: Operation) -> bool:
    is_removal = running.lane is Lane.UNPIN and (not running.looked_at or running.wished is Wished.NOWHERE)
    return is_removal or running.successor is Lane.UNPIN


def _end(operation: Operation) -> None:
    if operation.ended is not None:
        operation.ended.set()
