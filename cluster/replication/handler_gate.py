"""Handlers of what comes from the network: let in while the pinset is open, waited for at its end."""

from __future__ import annotations

import asyncio

from cluster.errors import ClusterError
from cluster.ports import CallHandler, GossipHandler, GossipMessage


class Closing(ClusterError):
    """This node is shutting down: ask another member."""

    def __init__(self) -> None:
        super().__init__("this member is shutting down: ask another one")


class HandlerGate:
    """The network outlives the pinset: what comes late must not meet a closed store."""

    def __init__(self) -> None:
        self._inside = 0
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    def message(self, handler: GossipHandler) -> GossipHandler:
        """The handler, deaf once this is closed."""

        async def visit(message: GossipMessage) -> None:
            if not self._closed:
                with self:
                    await handler(message)

        return visit

    def call(self, handler: CallHandler) -> CallHandler:
        """The handler, which raises Closing once this is closed."""

        async def visit(peer: str, request: bytes) -> bytes:
            if self._closed:
                raise Closing
            with self:
                return await handler(peer, request)

        return visit

    async def close(self) -> None:
        """Let nobody in any more, and return when everybody has left."""
        self._closed = True
        await self._empty.wait()

    def __enter__(self) -> None:
        self._inside += 1
        self._empty.clear()

    def __exit__(self, *_: object) -> None:
        self._inside -= 1
        if not self._inside:
            self._empty.set()
