"""Handlers of what comes from the network: let in while the pinset is open, waited for at its end."""

from __future__ import annotations

import asyncio

from cluster.common.methods import Method, serve
from cluster.errors import ClusterError
from cluster.interfaces import Membership
from cluster.ports import CallHandler, Gossip, GossipHandler, GossipMessage, PeerCalls


class Closing(ClusterError):
    """This node is shutting down: ask another member."""

    def __init__(self) -> None:
        super().__init__("this member is shutting down: ask another one")


class HandlerGate:
    """The network outlives the pinset: what comes late must not meet a closed store."""

    def __init__(self, gossip: Gossip, calls: PeerCalls, members: Membership) -> None:
        self._gossip = gossip
        self._calls = calls
        self._members = members
        self._inside = 0
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """Wraps the handler; messages after `close` are dropped. Raises HandlerTaken."""

        async def enter(message: GossipMessage) -> None:
            if not self._closed:
                with self:
                    await handler(message)

        self._gossip.subscribe(topic, enter)

    def serve(self, method: Method, handler: CallHandler) -> None:
        """Answer those that may call it; calls after `close` fail with Closing. Raises HandlerTaken."""

        async def enter(peer: str, request: bytes) -> bytes:
            if self._closed:
                raise Closing
            with self:
                return await handler(peer, request)

        serve(self._calls, self._members, method, enter)

    async def close(self) -> None:
        """Let no handler in any more, and return when all have ended."""
        self._closed = True
        await self._empty.wait()

    def __enter__(self) -> None:
        self._inside += 1
        self._empty.clear()

    def __exit__(self, *_: object) -> None:
        self._inside -= 1
        if not self._inside:
            self._empty.set()
