"""The asyncio side's handle on the host behind the portal: each method crosses to trio, and back.

While a host that died is being replaced, what waits for an answer raises NetworkError; what only changes the
host is dropped, because the next host is made of what the asyncio side holds by then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, TypeVar

from node.p2p.errors import ConnectionLost, NetworkError
from node.p2p.host_program import HostProgram
from node.p2p.messaging.outbox import Outgoing
from node.p2p.messaging.requests import RequestService
from node.p2p.messaging.service import Service
from node.p2p.portal import Portal, PortalClosed
from node.p2p.swarm import liveness
from node.p2p.swarm.host import Host

T = TypeVar("T")
P = ParamSpec("P")


class HostHandle:
    """The host of one network, whichever runs at the moment."""

    def __init__(self, portal: Portal, program: HostProgram) -> None:
        self._portal = portal
        self._program = program

    async def dial(self, peer: str, address: str) -> bool:
        """See `Host.dial`."""
        return await self._on_host(lambda host: host.dial(peer, address))

    async def hang_up(self, peer: str) -> None:
        """End every connection to that peer. Raises NetworkError."""
        await self._on_host(lambda host: host.hang_up(peer))

    async def ping(self, peer: str) -> float:
        """One round trip, in seconds. Raises NetworkError."""

        async def ping(host: Host) -> float:
            stream = await host.open_stream(peer, [liveness.PROTOCOL])
            try:
                return await liveness.ping(stream)
            finally:
                await stream.pipe.reset()

        return await self._on_host(ping)

    async def send(self, peer: str, protocols: tuple[str, ...], message: bytes) -> str:
        """Send a message; the protocol it went by. Raises NetworkError.

        Cancelled, the message is not sent unless it is being sent already.
        """
        result: asyncio.Future[str | NetworkError] = asyncio.get_running_loop().create_future()
        outgoing = Outgoing(peer, protocols, message, lambda end: self._portal.reply(_settle, result, end))
        try:
            self._portal.post(self._program.post, outgoing)
            settled = await self._portal.wait(result)
        except PortalClosed as error:
            raise ConnectionLost(str(error)) from error
        except asyncio.CancelledError:
            outgoing.withdrawn = True
            raise
        if isinstance(settled, NetworkError):
            raise settled
        return settled

    async def publish(self, topic: str, message: bytes) -> None:
        with contextlib.suppress(PortalClosed):
            await self._portal.to_trio(self._program.publish, topic, message)

    async def ask(self, peer: str, protocol: str, request: bytes, longest: int) -> bytes:
        """See `RequestStreams.ask`."""

        async def ask() -> bytes:
            return await self._program.running().requests.ask(peer, protocol, request, longest)

        return await self._crossing(ask)

    async def tell(self, peer: str, protocol: str, messages: Sequence[bytes]) -> None:
        """See `RequestStreams.tell`."""

        async def tell() -> None:
            await self._program.running().requests.tell(peer, protocol, messages)

        await self._crossing(tell)

    def serve_requests(self, service: RequestService) -> None:
        self._post(self._program.serve_requests, service)

    def serve(self, service: Service) -> None:
        self._post(self._program.serve, service)

    def subscribe(self, topic: str) -> None:
        self._post(self._program.subscribe, topic)

    def note_use(self, peer: str) -> None:
        self._post(self._program.note_use, peer)

    def gate_changed(self) -> None:
        self._post(self._program.gate_changed)

    def _post(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(PortalClosed):
            self._portal.post(job, *args, **kwargs)

    async def _on_host(self, work: Callable[[Host], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work(self._program.running().host)

        return await self._crossing(run)

    async def _crossing(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._portal.to_trio(work)
        except PortalClosed as error:
            raise ConnectionLost(str(error)) from error


def _settle(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)
