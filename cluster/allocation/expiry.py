"""Removing pins whose time is over: one member does it, the elected one of those that may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from blockstore.common.guard import Guard
from cluster.common.election import elected
from cluster.common.keyed_lock import KeyedLock
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.errors import NotPinned, ReadOnlyMember
from cluster.interfaces import Membership, PinQuery, PinsetReader, PinsetWriter
from cluster.metrics.metric_store import MetricStore
from cluster.pin import Pin

CLOCK_TOLERANCE = 300.0
"""Seconds our clock may be ahead of the other members' before we leave expiry to them."""

log = logging.getLogger(__name__)


class ExpirySweeper:
    """A pass each `interval`; pins go away that late at most after their time."""

    def __init__(
        self,
        peer: str,
        reader: PinsetReader,
        writer: PinsetWriter,
        membership: Membership,
        metrics: MetricStore,
        turns: KeyedLock,
        *,
        interval: float,
        now: Callable[[], float],
        clock_ahead: Callable[[], float],
        guard: Guard,
    ) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._membership = membership
        self._metrics = metrics
        self._turns = turns
        self._interval = interval
        self._now = now
        self._clock_ahead = clock_ahead
        self._guard = guard

    async def run(self) -> None:
        await steadily(self._guard, "removing expired pins", "the pinset", self._pass)

    async def _pass(self) -> None:
        await asyncio.sleep(self._interval)
        try:
            await self.sweep()
        except OSError as error:
            log.warning("cannot remove expired pins now: %s", error)

    async def sweep(self) -> int:
        """Remove the expired pins that are ours to remove; how many."""
        if self._clock_ahead() > CLOCK_TOLERANCE:
            log.warning(
                "this clock is %.0f s ahead of the other members': no pin expires here", self._clock_ahead()
            )
            return 0
        live = self._metrics.live(self._now()) | {self._peer}
        deciding = {peer for peer in live if self._membership.is_trusted(peer)}
        removed = 0
        async with closed_after(self._reader.pins(PinQuery(expires_before=self._now()))) as pins:
            async for pin in pins:
                if elected(pin.cid, deciding) == self._peer:
                    with self._guard.around("removing the expired pin", str(pin.cid)):
                        removed += await self._remove_or_wait(pin)
        return removed

    async def _remove_or_wait(self, pin: Pin) -> bool:
        try:
            return await self._remove(pin)
        except OSError as error:
            log.warning("the expired pin of %s cannot be removed now: %s", pin.cid, error)
            return False

    async def _remove(self, pin: Pin) -> bool:
        """Unless it was renewed or removed since we read it."""
        async with self._turns.of(pin.cid):
            if await self._reader.get(pin.cid) != pin:
                return False
            try:
                await self._writer.remove(pin.cid)
            except (NotPinned, ReadOnlyMember):
                return False
        return True
