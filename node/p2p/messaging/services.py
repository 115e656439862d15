"""What this node serves on one network, on the asyncio side: each peer's messages are handled in order."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial

from bitswap.network import check_free
from blockstore.common.guard import Guard
from node.p2p.messaging.flow_control import Inbox
from node.p2p.messaging.service import Service

Spawn = Callable[[Coroutine[object, object, None]], object]


class Services:
    """Handlers by protocol, and an inbox a peer and service."""

    def __init__(self, spawn: Spawn, guard: Guard) -> None:
        self._spawn = spawn
        self._guard = guard
        self._services: list[Service] = []
        self._inboxes: dict[tuple[str, Service], Inbox] = {}

    def __iter__(self) -> Iterator[Service]:
        """Those of this moment; on any thread."""
        return iter(tuple(self._services))

    def add(self, service: Service) -> None:
        """Raises ProtocolTaken."""
        check_free(service.protocols, [taken for other in self._services for taken in other.protocols])
        self._services.append(service)

    def received(
        self, service: Service, peer: str, protocol: str, message: bytes, done: Callable[[], object]
    ) -> None:
        """Queue a message for its handler; `done` is called when that has returned."""
        inbox = self._inboxes.get((peer, service))
        if inbox is None:
            inbox = self._inboxes[peer, service] = Inbox(protocol, peer, self._spawn, self._guard)
        inbox.put(partial(_handle, service, peer, protocol, message, done))

    def peer_changed(self, peer: str, connected: bool) -> None:
        """What the inboxes of a peer that has gone hold is still handled."""
        if not connected:
            for key in [key for key in self._inboxes if key[0] == peer]:
                del self._inboxes[key]


async def _handle(
    service: Service, peer: str, protocol: str, message: bytes, done: Callable[[], object]
) -> None:
    try:
        await service.handler(peer, protocol, message)
    finally:
        done()
