"""The gossip handlers of one simulated peer, called as `cluster.ports.Gossip` promises."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from blockstore.common.guard import Guard
from cluster.ports import GossipHandler, GossipMessage, claim


class Topics:
    """Each topic's messages are handled one after the other, in the order in which they were delivered."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._handlers: dict[str, GossipHandler] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        claim(topic, self._handlers)
        self._handlers[topic] = handler
        self._turns[topic] = asyncio.Lock()

    def deliver(self, topic: str, message: GossipMessage) -> None:
        if topic in self._handlers:
            task = asyncio.create_task(self._handle(topic, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def handled(self) -> None:
        """Wait until all that was delivered so far is handled."""
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks)

    def close(self) -> None:
        """Forget the handlers; what they have not finished is lost."""
        for task in tuple(self._tasks):
            task.cancel()
        self._handlers.clear()

    async def _handle(self, topic: str, message: GossipMessage) -> None:
        handler = self._handlers[topic]
        async with self._turns[topic]:
            with self._guard.around(f"gossip on {topic}", message.author):
                await handler(message)
