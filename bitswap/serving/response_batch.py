"""Blocks and presences that go to a peer in one message."""

from __future__ import annotations

from dataclasses import dataclass

from bitswap.message import Presence
from blockstore.cid import CID


@dataclass(frozen=True, slots=True)
class ResponseBatch:
    """The next thing to send to one peer. `cost`: bytes of memory until it is sent, blocks and presences."""

    peer: str
    blocks: tuple[CID, ...]
    presences: tuple[Presence, ...]
    cost: int
    block_bytes: int = 0

    def __repr__(self) -> str:
        count = f"{len(self.blocks)} blocks, {len(self.presences)} presences"
        return f"<ResponseBatch for {self.peer}: {count}, {self.cost} bytes>"
