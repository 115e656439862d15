"""Connections before aiohttp answers them: who is let in, and what is answered to what is no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, InvalidURLError, LineTooLong
from aiohttp.typedefs import Handler

from node.http.limits.addresses import Address, key_of, parse
from node.http.limits.door import Door, NoRoom
from node.relayed_protocol import RelayedProtocol

Serve = Callable[[], asyncio.Protocol]
"""Makes the protocol that answers HTTP on one connection."""
Refuse = Callable[[int, str], web.Response]
"""An error in the form of a face, for a request that could not be read."""

MAX_LINE = 32 * 1024  # bytes: a long list of CIDs in a query string is fine
MAX_FIELD = 8 * 1024  # bytes of one header, as in nginx and Apache
MAX_FIELDS = 100  # as in Apache: a head without end takes some 800 KiB at most

_FULL = (
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\n"
    "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}\n"
)


def plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where connections of one listener come in; one of a `known` address has no share to keep to."""

    door: Door[asyncio.BaseTransport]
    known: Callable[[Address], bool] = field(default=lambda address: address.is_loopback)
    refuse: Refuse = plain

    def key(self, transport: asyncio.BaseTransport) -> bytes:
        name = transport.get_extra_info("peername")
        address = parse(f"[{name[0]}]" if ":" in name[0] else name[0]) if name else None
        return b"" if address is None or self.known(address) else key_of(address)


ENTRANCE = web.AppKey("entrance", Entrance)


class HttpConnection(RelayedProtocol):
    """One connection that comes in; what it says is for the protocol that answers HTTP."""

    def __init__(self, serve: Serve, entrance: Entrance) -> None:
        super().__init__()
        self._serve = serve
        self._entrance = entrance

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # of a TCP socket; uvloop's has no base class
        try:
            gone = self._entrance.door.enter(transport, self._entrance.key(transport))
        except NoRoom as error:
            self._transport.write(_FULL.format(len(str(error)) + 1, error).encode())
            self._transport.close()
            return
        if gone is not None:
            gone.close()
        self.begun()

    def begun(self) -> None:
        """It was let in."""
        self.hand_over(b"")

    def hand_over(self, data: bytes) -> None:
        """The rest is between the client and the protocol that answers HTTP."""
        self.relay_to(self._serve(), data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._entrance.door.leave(self._transport)
        super().connection_lost(exc)


class FaceRequestHandler(web.RequestHandler):
    """aiohttp's protocol, whose own errors have the form of the face's errors."""

    __slots__ = ("refuse",)

    refuse: Refuse

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError):
            super().handle_error(request, status, exc, message)  # logs it; raises behind the first byte
            response = self.refuse(status, "this node failed: its log says how")
        else:
            response = self.refuse(*_unreadable(exc))
        response.force_close()
        return response


def _unreadable(error: HttpProcessingError) -> tuple[int, str]:
    if isinstance(error, LineTooLong):
        if MAX_LINE in error.args:
            return 414, f"the request line is above {MAX_LINE} bytes"
        return 431, f"a header of the request is above {MAX_FIELD} bytes"
    if error.message.startswith("Too many headers"):
        return 431, f"the request has more than {MAX_FIELDS} headers"
    if isinstance(error, InvalidURLError):
        return 400, "the address in the request line does not parse"
    return 400, "this is no request of HTTP/1.1"


@web.middleware
async def mark_busy(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A connection whose request is being answered does not go where there is no room."""
    door, transport = request.app[ENTRANCE].door, request.transport
    if transport is None:
        return await handler(request)
    door.begin(transport)
    try:
        return await handler(request)
    finally:
        door.rest(transport)
