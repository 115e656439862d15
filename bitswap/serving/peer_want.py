"""One block that a peer wants of us."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bitswap.message import WantType
from blockstore.cid import CID


class Stage(Enum):
    """`WAITING`: until looked up, and then until the block arrives. `SENDING`: in a batch not yet sent."""

    WAITING = 0
    QUEUED = 1
    SENDING = 2


@dataclass(slots=True, eq=False)
class PeerWant:
    cid: CID
    type: WantType
    priority: int
    send_dont_have: bool
    stage: Stage = Stage.WAITING
    size: int = 0
