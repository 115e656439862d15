"""The connections of one host by peer, and who hears when a peer's first comes and its last goes."""

from __future__ import annotations

from collections.abc import Callable

from node.p2p.errors import ConnectionLost, DialFailed, ProtocolViolation
from node.p2p.transport.connection import Connection

_MAX_PER_PEER = 4

PeerWatcher = Callable[[str, bool], None]
"""(peer, connected). Called on the trio thread; must not block."""


class ConnectionTable:
    """A peer may be connected several times, as when both sides dial at once; the newest is used."""

    def __init__(self, own_peer: str) -> None:
        self._own_peer = own_peer
        self._of_peer: dict[str, list[Connection]] = {}
        self._watchers: list[PeerWatcher] = []

    def __contains__(self, peer: str) -> bool:
        return peer in self._of_peer

    def peers(self) -> tuple[str, ...]:
        return tuple(self._of_peer)

    def of(self, peer: str) -> tuple[Connection, ...]:
        return tuple(self._of_peer.get(peer, ()))

    def newest(self) -> tuple[Connection, ...]:
        """One connection of each peer."""
        return tuple(found[-1] for found in self._of_peer.values())

    def newest_of(self, peer: str) -> Connection:
        """The newest, because an older one may be dead. Raises ConnectionLost."""
        if peer not in self._of_peer:
            raise ConnectionLost(f"not connected to {peer}")
        return self._of_peer[peer][-1]

    def watch(self, watcher: PeerWatcher) -> None:
        self._watchers.append(watcher)

    def unwatch(self, watcher: PeerWatcher) -> None:
        self._watchers.remove(watcher)

    def add(self, connection: Connection) -> None:
        """Raises DialFailed for one to ourselves, ProtocolViolation for one too many."""
        known = self.of(connection.peer)
        if connection.peer == self._own_peer:
            raise DialFailed("that is this node itself")
        if len(known) >= _MAX_PER_PEER:
            raise ProtocolViolation(f"{_MAX_PER_PEER} connections to one peer are enough")
        for older in known:
            older.doubted.set()  # why would the peer connect again, were it still there?
        self._of_peer[connection.peer] = [*known, connection]
        if not known:
            self._notify(connection.peer, True)

    def remove(self, connection: Connection) -> None:
        """Idempotent."""
        known = self._of_peer.get(connection.peer, [])
        if connection not in known:
            return
        known.remove(connection)
        if not known:
            del self._of_peer[connection.peer]
            self._notify(connection.peer, False)

    def _notify(self, peer: str, connected: bool) -> None:
        for watcher in tuple(self._watchers):
            watcher(peer, connected)
