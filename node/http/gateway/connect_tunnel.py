"""The gateway as an HTTP proxy: CONNECT is accepted, and the gateway itself is at the tunnel's other end.

No connection to anywhere else is ever made (RFC 9110 section 9.3.6; spec: HTTP gateways behind a proxy).
"""

from __future__ import annotations

import asyncio

from node.http.connection import Entrance, HttpConnection, Serve

_METHOD = b"CONNECT "
_MAX_HEAD = 16 * 1024  # bytes of a CONNECT request
_ACCEPTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class TunnelConnection(HttpConnection):
    """A connection that may begin with CONNECT; one that does not begin within so many seconds is ended."""

    def __init__(self, serve: Serve, entrance: Entrance, *, idle_timeout: float) -> None:
        super().__init__(serve, entrance)
        self._idle_timeout = idle_timeout
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None

    def begun(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._idle_timeout, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_timer()
        super().connection_lost(exc)

    def heard(self, data: bytes) -> None:
        self._data = data = self._data + data
        if data[: len(_METHOD)] != _METHOD[: len(data)]:
            self.hand_over(data)
            return
        head, end, rest = data.partition(b"\r\n\r\n")
        if end:
            self._transport.write(_ACCEPTED)
            self.hand_over(rest)
        elif len(head) > _MAX_HEAD:
            self._transport.write(_TOO_LARGE)
            self._transport.close()

    def hand_over(self, data: bytes) -> None:
        self._no_timer()
        self._data = b""
        super().hand_over(data)

    def _no_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
