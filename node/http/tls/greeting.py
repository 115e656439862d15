"""Connections of HTTPS: a bounded number is in its handshake, and only then is HTTP's turn."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from blockstore.common.tasks import Tasks
from node.http.connection import Entrance, Serve
from node.http.limits.door import Door, NoRoom
from node.http.tls.server_certificate import ServerCertificate
from node.relayed_protocol import RelayedProtocol

MAX_HANDSHAKES = 256
"""At once; where there is no room the one goes that began first."""

ADDRESS_HANDSHAKES = 32
"""Of these, of one address on another machine."""

HANDSHAKE_SECONDS = 10.0
_EARLY_BYTES = 256 * 1024  # that may come before HTTP is there: one read of the socket

_log = logging.getLogger(__name__)


class Greeting:
    """Has connections of one listener through their handshakes; `connect` makes what answers behind that."""

    def __init__(
        self, certificate: ServerCertificate, entrance: Entrance, connect: Serve, tasks: Tasks
    ) -> None:
        self._certificate = certificate
        self._entrance = entrance
        self._connect = connect
        self._tasks = tasks
        self._door = Door[asyncio.BaseTransport](MAX_HANDSHAKES, ADDRESS_HANDSHAKES)

    def connection(self) -> asyncio.Protocol:
        """For one that comes in."""
        return _TlsConnection(self)

    def begin(self, connection: _TlsConnection, raw: asyncio.Transport) -> None:
        """Its handshake; reading is paused until that has begun."""
        raw.pause_reading()
        try:
            gone = self._door.enter(raw, self._entrance.key(raw))
        except NoRoom:
            raw.abort()
            return
        if isinstance(gone, asyncio.WriteTransport):
            gone.abort()
        self._tasks.spawn(self._greet(connection, raw))

    def left(self, raw: asyncio.BaseTransport) -> None:
        """Its handshake is over, or the connection has ended."""
        self._door.leave(raw)

    async def _greet(self, connection: _TlsConnection, raw: asyncio.Transport) -> None:
        try:
            inside = await asyncio.get_running_loop().start_tls(
                raw,
                connection,
                self._certificate.context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError as error:  # as errors of TLS are, and a time that is over
            _log.debug("a handshake failed: %s", error or type(error).__name__)
            raw.abort()
            return
        finally:
            self.left(raw)
        if inside is not None:  # None: it has ended meanwhile
            connection.inside(inside, self._connect())


class _TlsConnection(RelayedProtocol):
    """One connection; what it says before HTTP is there is kept until then."""

    def __init__(self, greeting: Greeting) -> None:
        super().__init__()
        self._greeting = greeting
        self._early = b""
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = self._raw = cast("asyncio.Transport", transport)  # of a TCP socket
        self._greeting.begin(self, self._raw)

    def inside(self, transport: asyncio.Transport, inner: asyncio.Protocol) -> None:
        """TLS is there."""
        self._transport = transport
        if self._lost:
            transport.abort()
        else:
            self.relay_to(inner, self._early)

    def heard(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > _EARLY_BYTES:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._greeting.left(self._raw)
        super().connection_lost(exc)
