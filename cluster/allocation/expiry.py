"""Removing expired pins: for each, one member that is elected by rendezvous hashing does it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from cluster.common.election import elected
from cluster.common.hybrid_clock import TOLERANCE
from cluster.common.keyed_lock import KeyedLock
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import ReadOnlyMember
from cluster.interfaces import PinOrder, PinQuery
from cluster.metrics.metric_store import MetricStore
from cluster.pin import Pin

_GROUP = 500  # pins removed together

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
        ours: list[Pin] = []
        expired = self._pinset.pins(PinQuery(expires_before=self._context.now(), order=PinOrder.EXPIRY))
        async with closed_after(expired) as pins:
            async for pin in pins:
                if elected(pin.cid, voters) == us:
                    ours.append(pin)
                if len(ours) == _GROUP:
                    removed += await self._remove_all(ours)
                    ours = []
        return removed + await self._remove_all(ours)

    async def _remove_all(self, pins: Sequence[Pin]) -> int:
        """Together; one by one where that fails, so that trouble with one keeps no other."""
        try:
            return await self._remove(pins)
        except Exception as error:  # noqa: BLE001 - it comes again for the pin that it is of
            _log.warning("expired pins cannot be removed together now: %s", error)
        removed = 0
        for pin in pins:
            with self._context.guard.around("removing the expired pin", str(pin.cid)):
                removed += await self._remove_or_wait(pin)
        return removed

    async def _remove_or_wait(self, pin: Pin) -> int:
        try:
            return await self._remove([pin])
        except OSError as error:
            _log.warning("the expired pin of %s cannot be removed now: %s", pin.cid, error)
            return 0

    async def _remove(self, pins: Sequence[Pin]) -> int:
        """Unless they were renewed or removed since we read them; how many."""
        cids = [pin.cid for pin in pins]
        async with self._locks.of(*cids):
            now = await self._pinset.get_many(cids)
            try:
                gone = await self._pinset.remove_many(
                    [pin.cid for pin, found in zip(pins, now, strict=True) if pin == found]
                )
            except ReadOnlyMember:
                return 0
        return sum(isinstance(pin, Pin) for pin in gone)
