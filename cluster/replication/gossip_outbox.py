"""Gossip that waits to be sent: what comes shortly after a message goes together into the next one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from cluster.replication.gossip_message import joined

PACE = 0.1
"""Seconds from one message to the next: each costs every member some milliseconds, however little it says."""

_LIMIT = 256  # messages
_log = logging.getLogger(__name__)


class GossipOutbox:
    """The first message after a pause goes at once. What finds no room is left to catching up."""

    def __init__(self, publish: Callable[[bytes], Awaitable[None]], pace: float = PACE) -> None:
        self._publish = publish
        self._pace = pace
        self._waiting: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._next = float("-inf")  # not before that moment of the loop's clock

    def put(self, message: bytes) -> None:
        if len(self._waiting) >= _LIMIT:
            _log.info("more gossip than the network takes: members will catch up instead")
            return
        self._waiting.append(message)
        self._filled.set()

    async def publish_next(self) -> None:
        """Publish what waits, as soon as there is something."""
        await self._filled.wait()
        await asyncio.sleep(self._next - asyncio.get_running_loop().time())
        await self.flush()
        self._next = asyncio.get_running_loop().time() + self._pace

    async def flush(self) -> None:
        """Publish now what waits."""
        messages = [*self._waiting]
        self._waiting.clear()
        self._filled.clear()
        for message in joined(messages):
            await self._publish(message)
