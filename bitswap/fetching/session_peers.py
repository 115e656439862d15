"""Which peers are good for one DAG: hits and misses of each. Pure: events in, an order of peers out."""

from __future__ import annotations

from dataclasses import dataclass

from blockstore.cid import CID

_MAX_PEERS = 32
_MISSES_IN_A_ROW = 16  # DONT_HAVEs after which a peer is no longer asked first (boxo's figure)


@dataclass(slots=True)
class PeerStanding:
    """What one peer was worth to the session; `misses_in_a_row`: since its last hit."""

    hits: int = 0
    misses: int = 0
    misses_in_a_row: int = 0

    @property
    def odds(self) -> float:
        """Chance that it has the next block of this DAG, between 0 and 1."""
        return (self.hits + 1) / (self.hits + self.misses + 2)


class SessionPeers:
    """Peers that had blocks of a DAG, at most 32; they are asked for the next ones before all others."""

    __slots__ = ("_standings", "root")

    def __init__(self, root: CID | None = None) -> None:
        self.root = root
        self._standings: dict[str, PeerStanding] = {}

    def __repr__(self) -> str:
        return f"<SessionPeers {self.root or 'of every DAG'}: {', '.join(self.peers()) or 'no peer yet'}>"

    def on_hit(self, peer: str) -> None:
        """It sent a block, or says that it has it."""
        standing = self._standings.get(peer)
        if standing is None:
            self._make_room()
            standing = self._standings[peer] = PeerStanding()
        standing.hits += 1
        standing.misses_in_a_row = 0

    def on_miss(self, peer: str) -> None:
        """It said DONT_HAVE, or did not answer."""
        if (standing := self._standings.get(peer)) is None:
            return
        standing.misses += 1
        standing.misses_in_a_row += 1
        if standing.misses_in_a_row >= _MISSES_IN_A_ROW:
            del self._standings[peer]

    def peers(self) -> list[str]:
        """Best first."""
        return sorted(self._standings, key=lambda peer: -self._standings[peer].odds)

    def odds(self, peer: str) -> float:
        """Chance that this peer has the next block; an even one for those not known."""
        standing = self._standings.get(peer)
        return standing.odds if standing is not None else 0.5

    def _make_room(self) -> None:
        if len(self._standings) >= _MAX_PEERS:
            del self._standings[self.peers()[-1]]
