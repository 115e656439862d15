"""The network of a node that joins none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cluster.ports import CallHandler, GossipHandler, PeerOffline, check_gossip, check_request, claim

_WHY = "this node runs offline"


class NoNetwork:
    """Satisfies the cluster's Gossip and PeerCalls: no peer is there, and none ever comes."""

    def __init__(self) -> None:
        self._topics: set[str] = set()
        self._methods: set[str] = set()

    async def publish(self, topic: str, message: bytes) -> None:
        """Checks the size, as a network would."""
        check_gossip(message)

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """The handler is never called."""
        claim(topic, self._topics)
        self._topics.add(topic)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        check_request(method, request)
        raise PeerOffline(_WHY)

    def serve(self, method: str, handler: CallHandler) -> None:
        """The handler is never called."""
        claim(method, self._methods)
        self._methods.add(method)

    def peers(self) -> frozenset[str]:
        return frozenset()

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None:
        """The handler is never called."""

    def addresses(self, peer: str) -> Sequence[str]:
        return ()

    def keep_connected(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """No-op: no peer can be reached."""

    async def connect(self, address: str) -> str:
        raise PeerOffline(_WHY)
