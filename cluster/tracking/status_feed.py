"""Who hears of what becomes of each CID here, as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from blockstore.cid import CID
from blockstore.common.guard import Guard
from cluster.pin import Status
from cluster.ports import OperationKind
from cluster.tracking.operation import Operation, Wished


class StatusChange(NamedTuple):
    """A CID whose status on this member is now that; `error` is why it failed."""

    cid: CID
    status: Status
    error: str = ""


class StatusFeed:
    """A handler that fails keeps no other from hearing; `guard` counts it."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._handlers: list[Callable[[Sequence[StatusChange]], None]] = []

    def subscribe(self, handler: Callable[[Sequence[StatusChange]], None]) -> None:
        """Hear of all changes from now on, many at once. Must not block."""
        self._handlers.append(handler)

    def begun(self, operation: Operation) -> None:
        """It is worked on alone, which may take long."""
        pins = operation.kind is OperationKind.PIN
        self._tell([StatusChange(operation.cid, Status.PINNING if pins else Status.UNPINNING)])

    def ended(self, operations: Iterable[Operation]) -> None:
        """What follows one tells more than how it ended."""
        self._tell([_outcome(operation) for operation in operations if operation.successor is None])

    def _tell(self, changes: Sequence[StatusChange]) -> None:
        if not changes:
            return
        for handler in self._handlers:
            with self._guard.around("reporting statuses", f"{changes[0].cid} and others"):
                handler(changes)


def _outcome(operation: Operation) -> StatusChange:
    pins = operation.kind is OperationKind.PIN
    if operation.failure:
        return StatusChange(
            operation.cid, Status.PIN_ERROR if pins else Status.UNPIN_ERROR, operation.failure
        )
    if pins:
        return StatusChange(operation.cid, Status.PINNED)
    is_remote = operation.wished is Wished.ELSEWHERE
    return StatusChange(operation.cid, Status.REMOTE if is_remote else Status.UNPINNED)
