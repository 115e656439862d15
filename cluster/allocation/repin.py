"""Re-replication: new holders for the pins of members that are gone.

A member is gone when it was silent for the whole grace period, measured by this process and not by the wall
clock, so that a clock that jumps relocates nothing; or when it was removed. Only pins that are below their
minimum are placed anew, by one elected member, at a limited rate. A member that sees fewer than half of all
live does nothing: more likely it is cut off itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from cluster.allocation.placement import Placement
from cluster.common.election import elected
from cluster.common.keyed_lock import KeyedLock
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import BadPinOptions, NotEnoughPeers, ReadOnlyMember
from cluster.interfaces import PinQuery
from cluster.metrics.metric_store import MetricStore
from cluster.pin import Pin

_log = logging.getLogger(__name__)


class AbsenceDetector:
    """A failure detector by time-out: which members have been silent for `grace` seconds."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._silent: dict[str, float] = {}

    def observe(self, members: Collection[str], live: Collection[str], now: float) -> frozenset[str]:
        """Which members are gone at `now` (seconds of a clock that never jumps)."""
        self._silent = {peer: self._silent.get(peer, now) for peer in members if peer not in live}
        return frozenset(peer for peer, since in self._silent.items() if now - since >= self._grace)


class Repinner:
    """Watches for members that are gone, and places their pins anew."""

    def __init__(
        self,
        context: ClusterContext,
        metrics: MetricStore,
        placement: Placement,
        locks: KeyedLock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._context = context
        self._pinset = context.pinset
        self._metrics = metrics
        self._placement = placement
        self._locks = locks
        self._sleep = sleep
        self._absence = AbsenceDetector(context.settings.repin_grace)
        self.gone: frozenset[str] = frozenset()
        """Members that were silent for the grace period or were removed, at the last look."""
        self._handled: frozenset[str] = frozenset()
        self._next_pass = 0.0

    async def run(self) -> None:
        await steadily(
            self._context.guard, "looking for members that are gone", "the member list", self._look
        )

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self.gone = self._gone(now)
        gone = frozenset(peer for peer in self.gone if not self._context.members.duty(peer).is_held)
        if gone and (gone != self._handled or now >= self._next_pass):
            self._handled, self._next_pass = gone, now + self._context.settings.reconcile_interval
            await self._relocate_all(gone)
        await self._sleep(self._context.settings.metric_interval)

    def _gone(self, now: float) -> frozenset[str]:
        members = self._context.members.peers()
        live = self.live() & members
        gone = self._absence.observe(members, live, now) | self._context.members.removed()
        return gone if 2 * len(live) >= len(members) else frozenset()

    def live(self) -> frozenset[str]:
        """Members that were heard of lately, or are connected: gossip alone may fail; and this one."""
        return self._metrics.live() | self._context.calls.peers() | {self._context.peer}

    async def _relocate_all(self, gone: Collection[str]) -> None:
        for peer in sorted(gone):
            with self._context.guard.around("placing the pins anew of", peer):
                await self._relocate_those_of(peer, gone)

    async def _relocate_those_of(self, peer: str, gone: Collection[str]) -> None:
        try:
            moved = await self.relocate(peer, gone)
        except (OSError, ReadOnlyMember) as error:
            _log.warning("cannot place the pins of %s anew now: %s", peer, error)
        else:
            if moved:
                _log.info("%s is gone: %d of its pins were placed anew by this member", peer, moved)

    async def relocate(self, peer: str, gone: Collection[str]) -> int:
        """Place those pins of that member anew which are below their minimum and ours to do; how many."""
        moved = 0
        async with closed_after(self._pinset.pins(PinQuery(allocated_to=peer))) as pins:
            async for pin in pins:
                if self._is_ours(pin, gone):
                    moved += await self._relocate_safely(pin)
                    await self._sleep(1 / self._context.settings.repin_rate)
        return moved

    async def _relocate_safely(self, pin: Pin) -> bool:
        """Trouble with this pin alone leaves the others to be placed."""
        with self._context.guard.around("placing anew", str(pin.cid)):
            try:
                return await self._relocate(pin)
            except OSError as error:
                _log.warning("%s cannot be placed anew now: %s", pin.cid, error)
        return False

    def _is_ours(self, pin: Pin, gone: Collection[str]) -> bool:
        left = sum(peer not in gone for peer in pin.allocations)
        if pin.everywhere or left >= pin.options.replication_min:
            return False
        live = self.live()
        return (
            elected(pin.cid, {peer for peer in live if self._context.members.is_trusted(peer)})
            == self._context.peer
        )

    async def _relocate(self, pin: Pin) -> bool:
        async with self._locks.of(pin.cid):
            if await self._pinset.get(pin.cid) != pin:
                return False
            try:
                await self._pinset.put(pin._replace(allocations=self._placement.replace(pin)))
            except (NotEnoughPeers, BadPinOptions) as error:
                _log.warning("%s stays below its minimum: %s", pin.cid, error)
                return False
        return True
