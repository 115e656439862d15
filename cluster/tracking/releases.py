"""Letting go of copies of pins that were moved: only while enough others have them, by a lease.

As many as the pin's minimum of its holders are asked at that moment, and each promises to stay
(`leases.py`). What cannot be let go of yet is looked at again when leases have ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence

from blockstore.cid import CID
from cluster.common.loops import steadily
from cluster.context import ClusterContext
from cluster.pin import Pin, PinMode
from cluster.ports import CallFailed, LocalPins, PeerOffline
from cluster.tracking.leases import LEASE, Copy, Leases

TOGETHER = 400
"""Replicas that a member is asked about in one call."""

MAX_WAITING = 10_000
"""Moved pins that are looked at again soon; the others are found by the next pass over the pinset."""

_MAX_ASKED = 32  # holders of one pin

AskLease = Callable[[str, Sequence[Copy]], Awaitable[Sequence[bool]]]
"""Ask a member for leases: of each, whether it is there and stays. Raises PeerOffline, CallFailed."""


class Releases:
    """This member's copies: what it promised to others, and what it lets go of on the word of others."""

    def __init__(self, context: ClusterContext, pins: LocalPins, ask: AskLease) -> None:
        self._context = context
        self._pins = pins
        self._ask = ask
        self._leases = Leases(_now())
        self._waiting: dict[CID, None] = {}

    async def lease(self, copies: Sequence[Copy]) -> list[bool]:
        """Of each, whether all of it is here and stays for `LEASE` seconds."""
        now = _now()
        granted = [self._leases.grant(copy.cid, now) for copy in copies]
        here = await self._pins.get_many([copy.cid for copy in copies])
        return [
            promised and local is not None and local.has(copy.recursive)
            for promised, local, copy in zip(granted, here, copies, strict=True)
        ]

    async def let_go(self, pins: Sequence[Pin]) -> None:
        """Forget the roots of those pins that enough of their holders have. Raises PinFailed."""
        for start in range(0, len(pins), TOGETHER):
            together = pins[start : start + TOGETHER]
            gone = await self._let_go(together)
            self._wait([pin.cid for pin in together if pin.cid not in gone])

    async def _let_go(self, pins: Sequence[Pin]) -> Collection[CID]:
        began = _now()
        leaving = self._leases.leave((pin.cid for pin in pins), began)
        try:
            gone = await self._unchanged(await self._vouched([pin for pin in pins if pin.cid in leaving]))
            if _now() - began >= LEASE:
                return ()
            await self._pins.unpin_many(gone)
        finally:
            self._leases.stay(leaving)
        return gone

    async def is_held_elsewhere(self, pin: Pin) -> bool:
        """Whether another of its holders has all of it at this moment, of those that can be asked."""
        connected = self._context.calls.peers() & self._context.members.peers()
        others = sorted(peer for peer in connected - {self._context.peer} if pin.held_by(peer))
        told = await asyncio.gather(*(promised_by(self._ask, peer, [pin]) for peer in others[:_MAX_ASKED]))
        return any(told)

    async def run(self, again: Callable[[CID], object]) -> None:
        """Have those looked at `again` that could not be let go of, whenever leases have ended."""

        async def turn() -> None:
            await asyncio.sleep(LEASE + 1)
            waiting, self._waiting = self._waiting, {}
            for cid in waiting:
                again(cid)

        await steadily(self._context.guard, "letting go of", "pins that were moved", turn)

    def _wait(self, cids: Collection[CID]) -> None:
        for cid in cids:
            if len(self._waiting) < MAX_WAITING:
                self._waiting[cid] = None

    async def _vouched(self, pins: Sequence[Pin]) -> list[Pin]:
        """Those that as many of their holders as they ask for have, and promise to keep."""
        connected = self._context.calls.peers() & self._context.members.peers()
        holders = sorted({peer for pin in pins for peer in pin.allocations} & connected)
        told = await asyncio.gather(
            *(promised_by(self._ask, peer, [pin for pin in pins if pin.held_by(peer)]) for peer in holders)
        )
        copies = Counter(cid for kept in told for cid in kept)
        return [pin for pin in pins if copies[pin.cid] >= max(1, pin.options.replication_min)]

    async def _unchanged(self, pins: Sequence[Pin]) -> list[CID]:
        """Of those, which are still held elsewhere, and by the same members."""
        now = await self._context.pinset.get_many([pin.cid for pin in pins])
        return [
            pin.cid
            for pin, found in zip(pins, now, strict=True)
            if found is not None and found.allocations == pin.allocations
        ]


async def promised_by(ask: AskLease, peer: str, pins: Sequence[Pin]) -> list[CID]:
    """Which of these pins that member has, and keeps for now; none where it cannot be asked."""
    copies = [Copy(pin.cid, pin.options.mode is PinMode.RECURSIVE) for pin in pins]
    try:
        answers = await ask(peer, copies)
    except (CallFailed, PeerOffline):
        return []
    return [copy.cid for copy, held in zip(copies, answers, strict=True) if held]


def _now() -> float:
    """Seconds of a clock that never jumps."""
    return asyncio.get_running_loop().time()
