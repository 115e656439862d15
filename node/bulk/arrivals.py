"""Connections that come in: TLS first, then the member list, and only then HTTP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import cast

from blockstore.common.tasks import GuardedTasks
from node.bulk.certificates import BadCertificate
from node.bulk.refusals import BulkRefusal, Refusals
from node.bulk.tls import peer_behind
from node.relayed_protocol import RelayedProtocol

MAX_HANDSHAKES = 64
"""At once; each is a connection that has not said who it is."""

PEER_CONNECTIONS = 16
_HANDSHAKE_SECONDS = 10.0
_NO_DESCRIPTOR_SECONDS = 1.0

Serve = Callable[[], asyncio.Protocol]
"""Makes the protocol that answers HTTP on one connection."""


class Arrivals:
    """Takes connections of members, `PEER_CONNECTIONS` of each, and ends those of peers that are none."""

    def __init__(
        self, context: ssl.SSLContext, serve: Serve, tasks: GuardedTasks, refusals: Refusals
    ) -> None:
        self._context = context
        self._serve = serve
        self._tasks = tasks
        self._refusals = refusals
        self._handshakes = 0
        self._members: frozenset[str] = frozenset()
        self._open: dict[asyncio.Transport, str] = {}

    def admit(self, members: frozenset[str]) -> None:
        """These may connect; connections of all others end at once."""
        self._members = members
        for transport, peer in tuple(self._open.items()):
            if peer not in members:
                self._refusals.add(BulkRefusal.STRANGER, f"{peer} is no member any more")
                transport.abort()

    async def accept(self, listener: socket.socket) -> None:
        """Take what connects there, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                arrived, address = await loop.sock_accept(listener)
            except OSError:  # no descriptor is left, or it has gone again
                await asyncio.sleep(_NO_DESCRIPTOR_SECONDS)
                continue
            if self._handshakes >= MAX_HANDSHAKES:
                self._refusals.add(
                    BulkRefusal.TOO_MANY, f"{MAX_HANDSHAKES} connections did not say who they are"
                )
                arrived.close()
                continue
            self._handshakes += 1
            self._tasks.spawn(self._handshake(arrived, str(address[0])))

    def close(self) -> None:
        """End all connections."""
        for transport in tuple(self._open):
            transport.abort()

    def enter(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        """What answers a connection whose handshake is done; None for one that is not let in."""
        try:
            peer = peer_behind(transport)
        except BadCertificate as error:
            self._refusals.add(BulkRefusal.HANDSHAKE, str(error))
            return None
        if peer not in self._members:
            self._refusals.add(BulkRefusal.STRANGER, f"{peer} has the secret and is not on the member list")
            return None
        if Counter(self._open.values())[peer] >= PEER_CONNECTIONS:
            self._refusals.add(BulkRefusal.TOO_MANY, f"{peer} has {PEER_CONNECTIONS} connections")
            return None
        self._open[transport] = peer
        return self._serve()

    def leave(self, transport: asyncio.Transport) -> None:
        """That connection has ended."""
        self._open.pop(transport, None)

    async def _handshake(self, arrived: socket.socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: _Member(self), arrived, ssl=self._context, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except OSError as error:  # as errors of TLS are, and a time that is over
            self._refusals.add(BulkRefusal.HANDSHAKE, f"{address}: {error or type(error).__name__}")
            arrived.close()
        finally:
            self._handshakes -= 1


class _Member(RelayedProtocol):
    """A connection inside of TLS: what it says is for the protocol that answers HTTP."""

    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__()
        self._arrivals = arrivals

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if (inner := self._arrivals.enter(self._transport)) is None:
            self._transport.abort()
        else:
            self.relay_to(inner)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrivals.leave(self._transport)
        super().connection_lost(exc)
