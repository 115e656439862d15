"""How long to wait for peers that were asked for a block. Pure; times are the loop's seconds."""

from __future__ import annotations

from dataclasses import dataclass

from bitswap.fetching.peer_state import PeerState
from bitswap.fetching.want import Ask, Want
from bitswap.message import WantType


@dataclass(frozen=True, slots=True)
class WantTimeouts:
    """How long to wait, in seconds, and how many peers to ask at once.

    `answer`: for a peer that was asked and sends nothing. `block`: for one that says it has the block and
    does not send it; others are asked long before (`Tempo`). `reminder`: until a peer that says nothing is
    told its wants again, and again each time its silence has doubled; boxo too broadcasts anew what stays
    open. `newcomer`: for a new peer when all have refused. `breadth`: peers asked for one block.
    """

    answer: float = 8.0
    block: float = 45.0
    reminder: float = 6.0
    newcomer: float = 10.0
    breadth: int = 64

    def is_hopeless(self, want: Want, now: float) -> bool:
        """Whether no peer was left to ask for so long that the want is given up."""
        return want.quiet_since is not None and now - want.quiet_since >= self.newcomer

    def is_overdue(self, want: Want, peer: PeerState, ask: Ask, now: float) -> bool:
        """Whether that peer is waited for no longer."""
        if ask.type is WantType.BLOCK and (peer.name in want.havers or peer.heard_at >= 0):
            silence, limit, spoke_at = self.block, 10 * self.block, peer.tempo.delivered_at
        else:
            silence, limit, spoke_at = self.answer, self.block, peer.heard_at
        return now - max(ask.at, spoke_at) >= silence or now - ask.at >= limit
