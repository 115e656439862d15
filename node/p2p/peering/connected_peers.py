"""Which peers of one network are connected, as the trio side reported it in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bitswap.network import PeerHandler
from blockstore.common.guard import Guard
from node.p2p.swarm.identify import PeerDescription


class ConnectedPeers:
    """Handlers hear of each change once; one that fails keeps none of the others from hearing of it."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._gone: dict[str, asyncio.Event] = {}  # of connected peers
        self._descriptions: dict[str, PeerDescription] = {}
        self._handlers: list[PeerHandler] = []

    def __contains__(self, peer: object) -> bool:
        return peer in self._gone

    def __iter__(self) -> Iterator[str]:
        return iter(self._gone)

    def on_change(self, handler: PeerHandler) -> None:
        self._handlers.append(handler)

    async def until_gone(self, peer: str) -> None:
        """Returns when that peer is not connected."""
        gone = self._gone.get(peer)
        if gone is not None:
            await gone.wait()

    def description(self, peer: str) -> PeerDescription | None:
        """What a connected peer said of itself by identify, once it has."""
        return self._descriptions.get(peer)

    def described(self, peer: str, description: PeerDescription) -> bool:
        """Keep what that peer said of itself; False when it has gone since."""
        if peer in self._gone:
            self._descriptions[peer] = description
        return peer in self._gone

    def changed(self, peer: str, connected: bool) -> None:
        """That peer has come or gone; a repeated report is not passed on."""
        if (peer in self._gone) == connected:
            return
        if connected:
            self._gone[peer] = asyncio.Event()
        else:
            self._gone.pop(peer).set()
            self._descriptions.pop(peer, None)
        for handler in tuple(self._handlers):
            with self._guard.around("the news of a peer", peer):
                handler(peer, connected)

    def all_gone(self) -> None:
        """The host that held every connection has ended."""
        for peer in tuple(self._gone):
            self.changed(peer, False)
