"""Whose turn it is to have blocks read and sent: of the member that has the fewest now, who waits longest."""

from __future__ import annotations

import asyncio
from collections import Counter


class FairTurns:
    """`most` turns at once, over all members."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._held: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}

    def of(self, peer: str) -> RequestTurns:
        """For one request of that member."""
        return RequestTurns(self, peer)

    async def take(self, peer: str) -> None:
        """Wait for a turn, which is to be given back."""
        if self._free and not self._waiting:
            self._grant(peer)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = peer
        try:
            await turn
        except asyncio.CancelledError:
            if self._waiting.pop(turn, None) is None:  # it was granted in the same moment
                self.give(peer)
            raise

    def give(self, peer: str) -> None:
        """It is over; the next one has it."""
        self._free += 1
        self._held[peer] -= 1
        if not self._held[peer]:
            del self._held[peer]
        if self._waiting:
            turn = min(self._waiting, key=lambda waiting: self._held[self._waiting[waiting]])
            self._grant(self._waiting.pop(turn))
            turn.set_result(None)

    def _grant(self, peer: str) -> None:
        self._free -= 1
        self._held[peer] += 1


class RequestTurns:
    """Turns of one request: leaving the block gives back what it has left."""

    def __init__(self, turns: FairTurns, peer: str) -> None:
        self._turns = turns
        self._peer = peer
        self._count = 0

    def __enter__(self) -> RequestTurns:
        return self

    def __exit__(self, *_: object) -> None:
        while self._count:
            self.give()

    async def take(self) -> None:
        await self._turns.take(self._peer)
        self._count += 1

    def give(self) -> None:
        self._count -= 1
        self._turns.give(self._peer)
