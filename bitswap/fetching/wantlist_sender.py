"""Sends peers what changed in our wantlist: once for all that changes in one turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bitswap.fetching.wants import Wants
from bitswap.message import Message
from bitswap.network import PeerUnreachable
from bitswap.sender import Sender
from blockstore.common.guard import Guard
from blockstore.common.tasks import Tasks


class WantlistSender:
    """At most one message to a peer is on its way, so that a want and its CANCEL arrive in order."""

    def __init__(
        self, wants: Wants, sender: Sender, tasks: Tasks, guard: Guard, on_unreachable: Callable[[str], None]
    ) -> None:
        self._wants = wants
        self._sender = sender
        self._tasks = tasks
        self._guard = guard
        self._on_unreachable = on_unreachable
        self._sending: set[str] = set()
        self._due: asyncio.Handle | None = None

    def schedule(self) -> None:
        """Something may have changed."""
        if self._due is None and not self._tasks.closed:
            self._due = asyncio.get_running_loop().call_soon(self._send_all)

    def close(self) -> None:
        if self._due is not None:
            self._due.cancel()

    def _send_all(self) -> None:
        self._due = None
        for peer in self._wants.dirty():
            if peer not in self._sending:
                self._sending.add(peer)
                self._tasks.spawn(self._send(peer))

    async def _send(self, peer: str) -> None:
        sent = False
        try:
            with self._guard.around("sending wants", peer, PeerUnreachable):
                while entries := self._wants.take(peer):
                    await self._sender.send(peer, Message(entries))
                sent = True
        finally:
            self._sending.discard(peer)
        if not sent:
            self._on_unreachable(peer)
