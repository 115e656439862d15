"""The gateway as an HTTP proxy: CONNECT is accepted, and the gateway itself is at the tunnel's other end.

No connection to anywhere else is ever made (RFC 9110 section 9.3.6; spec: HTTP gateways behind a proxy).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

_METHOD = b"CONNECT "
_MAX_HEAD = 16 * 1024  # bytes of a CONNECT request
_PATIENCE = 60.0  # seconds for the first bytes of a connection
_ACCEPTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

Serve = Callable[[], asyncio.Protocol]
"""Makes the protocol that answers HTTP on one connection."""


class TunnelSite(web.TCPSite):
    """A TCP listener whose connections may begin with CONNECT; all others pass on as they are."""

    __slots__ = ()

    async def start(self) -> None:
        await web.BaseSite.start(self)
        serve: Serve | None = self._runner.server
        assert serve is not None  # the runner is set up before its sites
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _FirstBytes(serve), self._host, self._port, backlog=self._backlog
        )
        self._bound_port = self._server.sockets[0].getsockname()[1]


class _FirstBytes(asyncio.Protocol):
    """Looks at how a connection begins, then hands it over for good."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # of a TCP socket; uvloop's has no base class
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._data[: len(_METHOD)] != _METHOD[: len(self._data)]:
            self._hand_over(self._data)
            return
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if end:
            self._transport.write(_ACCEPTED)
            self._hand_over(rest)
        elif len(head) > _MAX_HEAD:
            self._transport.write(_TOO_LARGE)
            self._transport.close()

    def _hand_over(self, data: bytes) -> None:
        self._timer.cancel()
        protocol = self._serve()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if data:
            protocol.data_received(data)
