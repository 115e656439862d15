"""What the replica is asked to change, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from blockstore.cid import CID
from cluster.common.pin_codec import EncodedPin
from cluster.pinset.log.batch import SignedBatch


class Verdict(Enum):
    """What became of a foreign batch."""

    APPLIED = auto()
    KNOWN = auto()  # already here
    EARLY = auto()  # earlier batches of its log, or items that it deletes, are not here yet
    FORKED = auto()  # does not follow the batch before it as that is here: its author signed two of a number
    PAUSED = auto()  # its author would hold more than it may: not applied yet
    REFUSED = auto()  # breaks the rules; its log goes no further here


class PinWrite(NamedTuple):
    """What this node's own user wants of a CID: that pin, or no pin. `is_new`: only if there is none."""

    cid: CID
    pin: EncodedPin | None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """`before` holds each write's entry value as it was just before; `batch` is None when nothing changed."""

    before: tuple[bytes | None, ...]
    batch: SignedBatch | None
