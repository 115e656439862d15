"""Requests to connected peers, and from them; the asyncio side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bitswap.network import PeerUnreachable
from node.p2p.errors import NetworkError
from node.p2p.host_handle import HostHandle
from node.p2p.messaging.request_services import RequestServices
from node.p2p.messaging.requests import RequestHandler, RequestService
from node.traffic import Traffic


class Requests:
    """`used` hears of each peer that is asked."""

    def __init__(
        self, host: HostHandle, services: RequestServices, traffic: Traffic, used: Callable[[str], None]
    ) -> None:
        self._host = host
        self._services = services
        self._traffic = traffic
        self._used = used

    async def ask(self, peer: str, protocol: str, request: bytes, longest: int) -> bytes:
        """One request, on a stream of its own; the answer, of at most `longest` bytes.

        Raises PeerUnreachable.
        """
        self._used(peer)
        try:
            answer = await self._host.ask(peer, protocol, request, longest)
        except NetworkError as error:
            raise PeerUnreachable(f"{peer}: {error}") from error
        self._traffic.sent(protocol, len(request))
        return answer

    async def tell(self, peer: str, protocol: str, messages: Sequence[bytes]) -> None:
        """Messages that take no answer, in order. Raises PeerUnreachable."""
        self._used(peer)
        try:
            await self._host.tell(peer, protocol, messages)
        except NetworkError as error:
            raise PeerUnreachable(f"{peer}: {error}") from error
        self._traffic.sent(protocol, sum(map(len, messages)))

    def on_request(self, protocols: Sequence[str], handler: RequestHandler, longest: int) -> None:
        """Answer requests of at most that many bytes on these protocols. Raises ProtocolTaken."""
        service = RequestService(tuple(protocols), handler, longest)
        self._services.add(service)
        self._host.serve_requests(service)
