"""The network of a node that was told to join none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cluster.ports import CallHandler, GossipHandler, PeerOffline

_WHY = "this node runs offline"


class NoNetwork:
    """Satisfies the cluster's Gossip and PeerCalls: nobody is there, and nobody ever comes."""

    async def publish(self, topic: str, message: bytes) -> None:
        """Nobody to tell."""

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """Nobody to hear from."""

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        raise PeerOffline(_WHY)

    def serve(self, method: str, handler: CallHandler) -> None:
        """Nobody will call."""

    def peers(self) -> frozenset[str]:
        return frozenset()

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None:
        """Nobody comes or goes."""

    def addresses(self, peer: str) -> Sequence[str]:
        return ()

    async def connect(self, address: str) -> str:
        raise PeerOffline(_WHY)
