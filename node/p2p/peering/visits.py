"""Connections that were made to ask something: kept while they are of use, then hung up, so they stay few."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

MOST = 128
IDLE = 60.0
"""Seconds without use."""

_ROUND = 10.0  # seconds between looks


class Visits:
    """`keeps` says which peers stay in any case."""

    def __init__(self, hang_up: Callable[[str], Awaitable[None]], keeps: Callable[[str], bool]) -> None:
        self._hang_up = hang_up
        self._keeps = keeps
        self._used: OrderedDict[str, float] = OrderedDict()  # the least recently used first

    def __len__(self) -> int:
        return len(self._used)

    def begin(self, peer: str) -> None:
        """That peer is connected because we asked for it."""
        self._used[peer] = asyncio.get_running_loop().time()
        self._used.move_to_end(peer)

    def use(self, peer: str) -> None:
        """If it is a visit, it is in use now."""
        if peer in self._used:
            self.begin(peer)

    def peer_changed(self, peer: str, connected: bool) -> None:
        if not connected:
            self._used.pop(peer, None)

    async def run(self) -> None:
        """Hang up what is idle, or too many, until cancelled."""
        while True:
            await asyncio.sleep(_ROUND)
            for peer in self._leaving():
                del self._used[peer]
                if not self._keeps(peer):
                    await self._hang_up(peer)

    def _leaving(self) -> list[str]:
        idle_since = asyncio.get_running_loop().time() - IDLE
        surplus = len(self._used) - MOST
        return [
            peer
            for place, (peer, used) in enumerate(self._used.items())
            if used < idle_since or place < surplus
        ]
