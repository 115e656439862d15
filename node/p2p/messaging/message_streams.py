"""Messages of one host, on the trio side: an outbox a peer and protocols, an allowance a peer and service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from blockstore.common.throttle import Throttle
from node.p2p.messaging.message_reader import Allowance, read_messages
from node.p2p.messaging.outbox import Outbox, Outgoing
from node.p2p.messaging.service import Service
from node.p2p.swarm.host import Host
from node.p2p.transport.connection import Stream

Deliver = Callable[[Service, str, str, bytes, Allowance], object]
"""(service, peer, protocol, message, what to give its size back to when it was handled)."""


class MessageStreams:
    """For one host, and gone with it."""

    def __init__(self, host: Host, down: Throttle, deliver: Deliver) -> None:
        """`down`: what messages of limited services pass."""
        self._host = host
        self._down = down
        self._deliver = deliver
        self._outboxes: dict[tuple[str, tuple[str, ...]], Outbox] = {}
        self._allowances: dict[tuple[str, Service], Allowance] = {}
        host.connections.watch(self._peer_changed)

    def post(self, message: Outgoing) -> None:
        """Queue a message behind those for the same peer and protocols."""
        key = (message.peer, message.protocols)
        outbox = self._outboxes.get(key)
        if outbox is None:
            outbox = self._outboxes[key] = Outbox(self._host.open_stream, lambda: self._outboxes.pop(key))
            self._host.start(f"messages to {message.peer}", outbox.run)
        outbox.put(message)

    def serve(self, service: Service) -> None:
        """Read what comes on its protocols."""
        self._host.serve(service.protocols, partial(self._read, service), to_all=service.to_all)

    async def _read(self, service: Service, stream: Stream) -> None:
        allowance = self._allowances.setdefault((stream.peer, service), Allowance())
        down = self._down if service.limited else None

        def deliver(message: bytes) -> None:
            self._deliver(service, stream.peer, stream.protocol, message, allowance)

        await read_messages(stream, service.longest, allowance, deliver, down)

    def _peer_changed(self, peer: str, connected: bool) -> None:
        if not connected:
            for key in [key for key in self._allowances if key[0] == peer]:
                del self._allowances[key]
