"""What the members' statuses of a pin come to for who asked for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cluster.common.owners import mark_of, marks_of
from cluster.pin import GlobalPinInfo, Pin, PinInfo, Progress, Status
from node.pinning.pin_request import RequestStatus

GONE = "the cluster does not keep this pin for you any more: it was unpinned, or has expired; ask for it anew"

_FAILED = frozenset((Status.PIN_ERROR, Status.CLUSTER_ERROR, Status.UNEXPECTEDLY_UNPINNED))


def is_kept(pin: Pin | None, owner: str, requests_at: str) -> bool:
    """Whether the pin is still there for the requests of that owner at that member."""
    return pin is not None and mark_of(owner, requests_at) in marks_of(pin.options.metadata)


def request_status(info: GlobalPinInfo, owner: str, requests_at: str) -> tuple[RequestStatus, str]:
    """The status, and in words why it failed, or how far it is.

    It is pinned when as many members hold it as it asks for at least; of a pin for every member one is
    enough, since a member may be away.
    """
    pin = info.pin
    if pin is None or not is_kept(pin, owner, requests_at):
        return RequestStatus.FAILED, GONE
    holders = [one for peer, one in info.peers.items() if pin.held_by(peer)]
    found = {one.status for one in holders}
    if sum(one.status is Status.PINNED for one in holders) >= _needed(pin):
        return RequestStatus.PINNED, ""
    if Status.PINNING in found:
        return RequestStatus.PINNING, _progress(holders)
    if found <= _FAILED and found:
        return RequestStatus.FAILED, "; ".join(sorted({one.error for one in holders if one.error}))
    return RequestStatus.QUEUED, ""


def delegates(pin: Pin, addresses: Mapping[str, Collection[str]], most: int) -> tuple[str, ...]:
    """Where the holders' nodes are on the open network, by peer id of the member: some of each, in turn."""
    each = [[*found] for peer, found in sorted(addresses.items()) if pin.held_by(peer)]
    turns = (one[turn] for turn in range(most) for one in each if turn < len(one))
    return tuple(dict.fromkeys(turns))[:most]


def _needed(pin: Pin) -> int:
    return 1 if pin.everywhere else max(1, pin.options.replication_min)


def _progress(holders: list[PinInfo]) -> str:
    best = max((one.progress for one in holders if one.progress), key=_bytes, default=None)
    if best is None:
        return ""
    return f"{best.blocks} blocks of {best.bytes} bytes are here, {best.pending} are to follow"


def _bytes(progress: Progress) -> int:
    return progress.bytes
