"""One thing to be done about one CID, and the lane that it waits in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from blockstore.cid import CID
from cluster.pin import Pin, PinMode, Progress
from cluster.ports import OperationKind


class Lane(Enum):
    HERE = "here"  # its blocks are here, and a caller waits: bounded by the callers, not by the queue
    FRESH = "fresh"
    NORMAL = "normal"
    RETRY = "retry"
    UNPIN = "unpin"

    __hash__ = object.__hash__  # of an Enum it is a function of Python, and lanes are looked up all the time

    @property
    def kind(self) -> OperationKind:
        return OperationKind.UNPIN if self is Lane.UNPIN else OperationKind.PIN


class Wished(Enum):
    """What the pinset says of a CID to this member."""

    WHOLE = "whole"  # held here, with all below it
    BLOCK = "block"  # held here, the block alone
    MEASURED = "measured"  # held here unless it is too large, which a walk finds out
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"

    @property
    def is_here(self) -> bool:
        return self in _HERE


def wished_of(pin: Pin | None, peer: str) -> Wished:
    if pin is None:
        return Wished.NOWHERE
    if not pin.held_by(peer):
        return Wished.ELSEWHERE
    if pin.options.max_size:
        return Wished.MEASURED
    return Wished.WHOLE if pin.options.mode is PinMode.RECURSIVE else Wished.BLOCK


@dataclass(slots=True, eq=False)
class Operation:
    """One CID being worked on, or waiting for it. `successor` is what follows when this one ends.

    `wished` is what the pinset says while it waits, where that was told. `looked_at`: it takes a worker of
    its own. `failure` is why it did not succeed, once that is known. `ended` is there when a caller waits
    for the end.
    """

    cid: CID
    lane: Lane
    since: float  # seconds since 1970, when it began to wait or to run
    running: bool = False
    wished: Wished | None = None
    looked_at: bool = False
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


_HERE = (Wished.WHOLE, Wished.BLOCK, Wished.MEASURED)
_PRIORITY = frozenset({Lane.HERE, Lane.FRESH})
