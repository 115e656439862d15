"""What this node serves on one network, on the asyncio side: each peer's messages are handled in order."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial

from bitswap.network import check_free
from blockstore.common.guard import Guard
from node.p2p.messaging.flow_control import SerialQueue
from node.p2p.messaging.service import Service

Spawn = Callable[[Coroutine[object, object, None]], object]


class Services:
    """Handlers by protocol, and a queue a peer and service."""

    def __init__(self, spawn: Spawn, guard: Guard) -> None:
        self._spawn = spawn
        self._guard = guard
        self._services: list[Service] = []
        self._queues: dict[tuple[str, Service], SerialQueue] = {}

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
        queue = self._queues.get((peer, service))
        if queue is None:
            queue = self._queues[peer, service] = SerialQueue(protocol, peer, self._spawn, self._guard)
        queue.put(partial(_handle, service, peer, protocol, message, done))

    def peer_changed(self, peer: str, connected: bool) -> None:
        """What the queues of a peer that has gone hold is still handled."""
        if not connected:
            for key in [key for key in self._queues if key[0] == peer]:
                del self._queues[key]


async def _handle(
    service: Service, peer: str, protocol: str, message: bytes, done: Callable[[], object]
) -> None:
    try:
        await service.handler(peer, protocol, message)
    finally:
        done()
