"""Which requests this node answers on one network; the asyncio side."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bitswap.network import check_free
from blockstore.common.guard import Guard
from node.p2p.messaging.requests import RequestService


class RequestServices:
    """Handlers by protocol. One that fails ends the stream of its request, and nothing else."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._services: list[RequestService] = []

    def __iter__(self) -> Iterator[RequestService]:
        """Those of this moment; on any thread."""
        return iter(tuple(self._services))

    def add(self, service: RequestService) -> None:
        """Raises ProtocolTaken."""
        check_free(service.protocols, [taken for other in self._services for taken in other.protocols])
        self._services.append(service)

    def received(
        self,
        service: RequestService,
        peer: str,
        protocol: str,
        request: bytes,
        answered: Callable[[bytes | None], object],
    ) -> None:
        """`answered` is called with what the handler gives, None where it fails."""
        answer: bytes | None = None
        with self._guard.around(f"a request on {protocol}", peer):
            answer = service.handler(peer, protocol, request)
        answered(answer)
