"""Status = desired (pinset) x actual (local pins) x operations in flight. Computed here, stored nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from blockstore.cid import CID
from cluster.pin import Pin, PinInfo, PinMode, Progress, Status
from cluster.ports import Attempt, LocalPin, OperationKind
from cluster.tracking.operation import Operation

EVERY_STATUS = frozenset(Status)
ERRORS = frozenset({Status.CLUSTER_ERROR, Status.PIN_ERROR, Status.UNPIN_ERROR})
QUEUED = frozenset({Status.PIN_QUEUED, Status.UNPIN_QUEUED})
RECOVERABLE = frozenset({Status.PIN_ERROR, Status.UNPIN_ERROR, Status.UNEXPECTEDLY_UNPINNED})
IN_FLIGHT = frozenset(
    {
        Status.PIN_ERROR,
        Status.UNPIN_ERROR,
        Status.PINNING,
        Status.UNPINNING,
        Status.PIN_QUEUED,
        Status.UNPIN_QUEUED,
    }
)
"""Statuses that come from operations and attempts alone: listing them needs no walk over the pinset."""

LISTED_AT_ONCE = IN_FLIGHT | {Status.CLUSTER_ERROR}
"""Those and what no member says of itself but where a pin cannot be read."""

_RUNNING = {
    (OperationKind.PIN, False): Status.PIN_QUEUED,
    (OperationKind.PIN, True): Status.PINNING,
    (OperationKind.UNPIN, False): Status.UNPIN_QUEUED,
    (OperationKind.UNPIN, True): Status.UNPINNING,
}


_GONE = "the item should be pinned but it is not"
"""What ipfs-cluster says of `unexpectedly_unpinned`."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One CID as one member sees it."""

    cid: CID
    info: PinInfo


@dataclass(frozen=True, slots=True)
class StatusPage:
    """Rows in order of the CID's bytes. The next page begins behind `after`; None = this was the last."""

    rows: tuple[StatusRow, ...]
    after: CID | None


@dataclass(frozen=True, slots=True)
class PinView:
    """All that this member knows of one CID. `behind`: work for it may be due that is not queued yet."""

    pin: Pin | None = None
    local: LocalPin | None = None
    operation: Operation | None = None
    attempt: Attempt | None = None
    behind: bool = False

    @property
    def holds(self) -> bool:
        """Whether what the pin asks for is here; without a pin, whether the root is complete."""
        recursive = self.pin is not None and self.pin.options.mode is PinMode.RECURSIVE
        return self.local is not None and self.local.has(recursive)


def pin_info(peer: str, name: str, view: PinView, now: float) -> PinInfo:
    """What this member answers about the CID."""
    status = _status(peer, view)
    attempt = view.attempt
    return PinInfo(
        peer=peer,
        peer_name=name,
        status=status,
        since=_since(view, status, now),
        error=attempt.error if attempt else _GONE if status is Status.UNEXPECTEDLY_UNPINNED else "",
        attempts=_attempts(view),
        priority=view.operation is not None and view.operation.is_priority,
        progress=_progress(view, status),
        retry_at=attempt.retry_at if attempt and view.operation is None else None,
    )


def _attempts(view: PinView) -> int:
    """Those that failed, and the one that runs."""
    failed = view.attempt.count if view.attempt else 0
    return failed + (view.operation is not None and view.operation.running and not _idle_unpin(view))


def _status(peer: str, view: PinView) -> Status:
    held = view.pin is not None and view.pin.held_by(peer)
    operation, attempt = view.operation, view.attempt
    if operation is not None and not _idle_unpin(view):
        return _RUNNING[operation.kind, operation.running]
    if attempt is not None and (attempt.kind is OperationKind.PIN) == held:
        return Status.PIN_ERROR if held else Status.UNPIN_ERROR
    if not held:
        return Status.UNPINNED if view.pin is None else Status.REMOTE
    if view.holds:
        return Status.PINNED
    return Status.PIN_QUEUED if view.behind else Status.UNEXPECTEDLY_UNPINNED


def _idle_unpin(view: PinView) -> bool:
    """Whether it only looks at a CID that was never here: no status for a user."""
    return view.operation is not None and view.operation.kind is OperationKind.UNPIN and view.local is None


def _since(view: PinView, status: Status, now: float) -> float:
    if status in IN_FLIGHT and view.operation is not None:
        return view.operation.since
    if status in RECOVERABLE and view.attempt is not None:
        return view.attempt.failed_at
    return view.pin.created if view.pin is not None else now


def _progress(view: PinView, status: Status) -> Progress | None:
    if status is Status.PINNED and view.local is not None:
        return Progress(view.local.blocks, view.local.bytes, 0)
    return view.operation.progress if view.operation is not None else None
