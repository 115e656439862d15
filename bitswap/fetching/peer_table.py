"""The peers as our wants see them; what a peer failed at is remembered when it goes."""

from __future__ import annotations

from collections.abc import Iterator

from cachetools import LRUCache

from bitswap.fetching.credit import Credit
from bitswap.fetching.peer_state import PeerState

_MAX_CREDITS = 1024  # of peers that are gone and have failed


class PeerTable:
    """Peers that are connected, and others that are to be asked by hint."""

    def __init__(self) -> None:
        self._peers: dict[str, PeerState] = {}
        self._credits: LRUCache[str, Credit] = LRUCache(_MAX_CREDITS)

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[PeerState]:
        return iter(self._peers.values())

    def get(self, name: str) -> PeerState | None:
        return self._peers.get(name)

    def __getitem__(self, name: str) -> PeerState:
        return self._peers[name]

    def of(self, name: str) -> PeerState:
        """That peer, made known where it is not."""
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = PeerState(name, self._credits.pop(name, None))
        return peer

    @property
    def connected(self) -> int:
        """Number of connected peers."""
        return sum(peer.connected for peer in self._peers.values())

    def renew(self, name: str) -> PeerState | None:
        """Its old state; where it is connected it begins a new one, because what it was asked may be lost."""
        old = self._peers.pop(name, None)
        if old is not None and old.connected:
            self._peers[name] = PeerState(name, old.credit)
        return old

    def remove(self, name: str) -> PeerState | None:
        """It is gone. Connecting again clears no failures."""
        peer = self._peers.pop(name, None)
        if peer is not None and peer.credit.failures:
            self._credits[name] = peer.credit
        return peer

    def forget_unused(self) -> None:
        """Hints that were never connected and have no message left to get."""
        for peer in tuple(self._peers.values()):
            if not (peer.connected or peer.known_wants or peer.outbox):
                del self._peers[peer.name]
