"""Removing expired pins: for each, one member that is elected by rendezvous hashing does it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from cluster.common.election import elected
from cluster.common.hybrid_clock import TOLERANCE
from cluster.common.keyed_lock import KeyedLock
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import NotPinned, ReadOnlyMember
from cluster.interfaces import PinQuery
from cluster.metrics.metric_store import MetricStore
from cluster.pin import Pin

_log = logging.getLogger(__name__)


class ExpirySweeper:
    """A pass each `expiry_interval`; pins go away that late at most after their time."""

    def __init__(
        self,
        context: ClusterContext,
        metrics: MetricStore,
        locks: KeyedLock,
        clock_ahead: Callable[[], float],
    ) -> None:
        """`clock_ahead`: seconds by which our clock is ahead of the other members'."""
        self._context = context
        self._pinset = context.pinset
        self._metrics = metrics
        self._locks = locks
        self._clock_ahead = clock_ahead

    async def run(self) -> None:
        await steadily(self._context.guard, "removing expired pins", "the pinset", self._pass)

    async def _pass(self) -> None:
        await asyncio.sleep(self._context.settings.expiry_interval)
        try:
            await self.sweep()
        except OSError as error:
            _log.warning("cannot remove expired pins now: %s", error)

    async def sweep(self) -> int:
        """Remove the expired pins that are ours to remove; how many."""
        if self._clock_ahead() > TOLERANCE:
            _log.warning(
                "this clock is %.0f s ahead of the other members': no pin expires here", self._clock_ahead()
            )
            return 0
        us = self._context.peer
        live = self._metrics.live() | {us}
        voters = {peer for peer in live if self._context.members.is_trusted(peer)}
        removed = 0
        expired = self._pinset.pins(PinQuery(expires_before=self._context.now()))
        async with closed_after(expired) as pins:
            async for pin in pins:
                if elected(pin.cid, voters) == us:
                    with self._context.guard.around("removing the expired pin", str(pin.cid)):
                        removed += await self._remove_or_wait(pin)
        return removed

    async def _remove_or_wait(self, pin: Pin) -> bool:
        try:
            return await self._remove(pin)
        except OSError as error:
            _log.warning("the expired pin of %s cannot be removed now: %s", pin.cid, error)
            return False

    async def _remove(self, pin: Pin) -> bool:
        """Unless it was renewed or removed since we read it."""
        async with self._locks.of(pin.cid):
            if await self._pinset.get(pin.cid) != pin:
                return False
            try:
                await self._pinset.remove(pin.cid)
            except (NotPinned, ReadOnlyMember):
                return False
        return True
