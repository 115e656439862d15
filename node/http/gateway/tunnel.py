"""The gateway as an HTTP proxy: CONNECT is accepted, and the gateway itself is at the tunnel's other end.

No connection to anywhere else is ever made (RFC 9110 section 9.3.6; spec: HTTP gateways behind a proxy).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web

_METHOD = b"CONNECT "
_MAX_HEAD = 16 * 1024  # bytes of a CONNECT request
_ACCEPTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
)

Serve = Callable[[], asyncio.Protocol]
"""Makes the protocol that answers HTTP on one connection."""


class TunnelSite(web.TCPSite):
    """A TCP listener whose connections may begin with CONNECT.

    It has so many of them at most; one is ended that says nothing, or does not end its CONNECT, in time.
    """

    __slots__ = ("_door",)

    def __init__(
        self, runner: web.BaseRunner, host: str, port: int, *, backlog: int, most: int, idle_timeout: float
    ) -> None:
        super().__init__(runner, host, port, backlog=backlog)
        self._door = _Door(most, idle_timeout)

    async def start(self) -> None:
        await web.BaseSite.start(self)
        serve: Serve | None = self._runner.server
        assert serve is not None  # the runner is set up before its sites
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(serve, self._door), self._host, self._port, backlog=self._backlog
        )
        self._bound_port = self._server.sockets[0].getsockname()[1]


@dataclass(slots=True)
class _Door:
    """Connections that are open, how many may be, and for how many seconds without having begun."""

    most: int
    idle_timeout: float
    open: int = 0


class _Connection(asyncio.Protocol):
    """Looks at how a connection begins; the rest is between it and the protocol that answers HTTP."""

    def __init__(self, serve: Serve, door: _Door) -> None:
        self._serve = serve
        self._door = door
        self._data = b""
        self._inner: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # of a TCP socket; uvloop's has no base class
        self._timer = asyncio.get_running_loop().call_later(self._door.idle_timeout, self._transport.abort)
        self._door.open += 1
        if self._door.open > self._door.most:
            self._transport.write(_FULL)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._door.open -= 1
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)
        elif not self._transport.is_closing():
            self._begin(self._data + data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def _begin(self, data: bytes) -> None:
        self._data = data
        if data[: len(_METHOD)] != _METHOD[: len(data)]:
            self._hand_over(data)
            return
        head, end, rest = data.partition(b"\r\n\r\n")
        if end:
            self._transport.write(_ACCEPTED)
            self._hand_over(rest)
        elif len(head) > _MAX_HEAD:
            self._transport.write(_TOO_LARGE)
            self._transport.close()

    def _hand_over(self, data: bytes) -> None:
        self._timer.cancel()
        self._data = b""
        self._inner = self._serve()
        self._inner.connection_made(self._transport)
        if data:
            self._inner.data_received(data)
