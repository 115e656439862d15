"""Topics that this node hears, on the asyncio side: one handler each, one message after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator

from blockstore.common.guard import Guard
from cluster.ports import GossipHandler, GossipMessage, claim
from node.p2p.messaging.flow_control import BoundedQueue

_log = logging.getLogger(__name__)


class Subscriptions:
    """A topic's handler runs under `guard`: what a message breaks is the work on that message."""

    def __init__(self, spawn: Callable[[Coroutine[object, object, None]], object], guard: Guard) -> None:
        self._spawn = spawn
        self._guard = guard
        self._topics: dict[str, BoundedQueue] = {}

    def __iter__(self) -> Iterator[str]:
        """The topics of this moment; on any thread."""
        return iter(tuple(self._topics))

    def add(self, topic: str, handler: GossipHandler) -> None:
        """Raises HandlerTaken."""
        claim(topic, self._topics)
        self._topics[topic] = queue = BoundedQueue()
        self._spawn(self._handle(topic, queue, handler))

    def received(self, topic: str, message: GossipMessage) -> None:
        """Queue it for the topic's handler; above the queue's bounds it is dropped."""
        if not self._topics[topic].put(message):
            _log.debug("gossip on %s comes faster than it is handled; a message was dropped", topic)

    async def _handle(self, topic: str, queue: BoundedQueue, handler: GossipHandler) -> None:
        while True:
            message = await queue.get()
            with self._guard.around(f"gossip on {topic}", message.author):
                await handler(message)
