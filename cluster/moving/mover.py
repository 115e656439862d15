"""Pins moved in two steps, so that none ever has fewer copies than before.

First the new holders are allocated beside all that there are. When these say that they have the pin, each by
a lease (`tracking/leases.py`), those that are to go are taken off. What they hold they let go of by leases of
their own (`tracking/releases.py`). A bounded number of pins is between the two steps, so that the members'
free space is known anew before the next ones are placed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from blockstore.cid import CID
from cluster.common.keyed_lock import KeyedLock
from cluster.context import ClusterContext
from cluster.moving.move import Move
from cluster.pin import Pin
from cluster.tracking.releases import AskLease, promised_by

WINDOW = 200
"""Pins between the two steps at most."""

PATIENCE = 120.0
"""Seconds that one pin may stand there while others wait behind it; it is taken up again later."""

_LOOK = 1.0  # seconds between two questions to the new holders
_LONGEST_LOOK = 10.0  # while none of them comes further


@dataclass(frozen=True, slots=True)
class _Staged:
    move: Move
    since: float

    def is_settled(self, having: Collection[str], connected: Collection[str], now: float) -> bool:
        """Whether those that are to go may go: all holders that are there have it, or, after long, enough."""
        if len(having) < self.move.needed:
            return False
        return now - self.since > PATIENCE or all(
            peer in having for peer in self.move.holders if peer in connected
        )


class Mover:
    """Places as many pins a second as the setting `repin_rate` says."""

    def __init__(
        self,
        context: ClusterContext,
        locks: KeyedLock,
        lease: AskLease,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._context = context
        self._pinset = context.pinset
        self._locks = locks
        self._lease = lease
        self._sleep = sleep

    async def moving(self, moves: AsyncIterator[Move], goes_on: Callable[[], bool]) -> AsyncIterator[int]:
        """How many were moved, by and by, until `moves` end or `goes_on` says no: what is staged stays so.

        Raises ReadOnlyMember, and what the disk raises.
        """
        window: dict[CID, _Staged] = {}
        more, pause = True, _LOOK
        while goes_on() and (more or window):
            more = more and await self._stage(moves, window)
            settled = await self._settle(window)
            yield settled
            self._drop(window)
            pause = _LOOK if settled or not window else min(_LONGEST_LOOK, 1.5 * pause)
            if more or window:
                await self._sleep(_LOOK if more and len(window) < WINDOW else pause)

    async def _stage(self, moves: AsyncIterator[Move], window: dict[CID, _Staged]) -> bool:
        """The first step for as many as there is room and rate for; false behind the last one."""
        taken, more = await _some(moves, self._room(len(window)))
        async with self._locks.of(*(move.pin.cid for move in taken)):
            found = await self._pinset.get_many([move.pin.cid for move in taken])
            fresh = [move for move, pin in zip(taken, found, strict=True) if pin == move.pin]
            await self._allocate([(move.pin, move.staged) for move in fresh if move.coming])
        window.update({move.pin.cid: _Staged(move, _now()) for move in fresh if move.leaves})
        return more

    def _room(self, waiting: int) -> int:
        return max(0, min(WINDOW - waiting, round(self._context.settings.repin_rate * _LOOK) or 1))

    async def _settle(self, window: dict[CID, _Staged]) -> int:
        """The second step of those that are there; how many."""
        having = await self._having([staged.move for staged in window.values()])
        connected, now = self._context.calls.peers() | {self._context.peer}, _now()
        ready = [
            window.pop(cid).move
            for cid, staged in list(window.items())
            if staged.is_settled(having[cid], connected, now)
        ]
        async with self._locks.of(*(move.pin.cid for move in ready)):
            found = await self._pinset.get_many([move.pin.cid for move in ready])
            return await self._allocate(
                [
                    (pin, move.holders)
                    for move, pin in zip(ready, found, strict=True)
                    if pin is not None and set(pin.allocations) == set(move.staged)
                ]
            )

    async def _allocate(self, pins: Sequence[tuple[Pin, tuple[str, ...]]]) -> int:
        """How many were written. What kept one from being written is met again at the next pass."""
        if not pins:
            return 0
        errors = await self._pinset.put_many([pin._replace(allocations=holders) for pin, holders in pins])
        return errors.count(None)

    async def _having(self, moves: Sequence[Move]) -> Mapping[CID, set[str]]:
        """Which holders of each have it now, and promise to keep it."""
        having: defaultdict[CID, set[str]] = defaultdict(set)
        holders = sorted({peer for move in moves for peer in move.holders})

        async def ask(peer: str) -> None:
            pins = [move.pin for move in moves if peer in move.holders]
            for cid in await promised_by(self._lease, peer, pins):
                having[cid].add(peer)

        await asyncio.gather(*map(ask, holders))
        return having

    @staticmethod
    def _drop(window: dict[CID, _Staged]) -> None:
        """Others have their turn; one that was staged is found as it is by the next pass."""
        now = _now()
        for cid, staged in list(window.items()):
            if now - staged.since > PATIENCE:
                del window[cid]


async def _some(moves: AsyncIterator[Move], most: int) -> tuple[list[Move], bool]:
    """The next ones, and whether there may be more."""
    taken: list[Move] = []
    while len(taken) < most:
        move = await anext(moves, None)
        if move is None:
            return taken, False
        taken.append(move)
    return taken, True


def _now() -> float:
    """Seconds of a clock that never jumps."""
    return asyncio.get_running_loop().time()
