"""Re-replication: new holders for the pins of members that are gone (`absence.py`).

Of a member that is silent only pins that are below their minimum are placed anew, of one that was removed all
are: up to their maximum where there is room. One elected member does it for each pin, at a limited rate. What
a member that comes back holds by then stays with those who took it; it lets its own copies go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cluster.allocation.absence import Absences
from cluster.allocation.placement import Placement
from cluster.common.election import elected
from cluster.common.keyed_lock import KeyedLock
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import NotEnoughPeers, ReadOnlyMember
from cluster.interfaces import PinQuery
from cluster.pin import Pin

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RepairWork:
    """The last pass over the pins of one member, by this one. Times in seconds since 1970.

    `total` pins named that member at its beginning. `short` are those that could not be placed anew.
    """

    begun: float
    total: int
    looked_at: int = 0
    moved: int = 0
    short: int = 0
    reason: str = ""
    ended: float | None = None


class Repinner:
    """Places the pins of members anew that are gone."""

    def __init__(
        self,
        context: ClusterContext,
        absences: Absences,
        placement: Placement,
        locks: KeyedLock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._context = context
        self._pinset = context.pinset
        self._absences = absences
        self._placement = placement
        self._locks = locks
        self._sleep = sleep
        self._handled: frozenset[str] = frozenset()
        self._next_pass = 0.0
        self.work: dict[str, RepairWork] = {}
        """By member, while it is gone."""

    async def run(self) -> None:
        await steadily(self._context.guard, "placing anew the pins", "of members that are gone", self._turn)

    async def _turn(self) -> None:
        now, lost = asyncio.get_running_loop().time(), self._absences.lost
        self.work = {peer: work for peer, work in self.work.items() if peer in lost or self._is_held(peer)}
        if lost and (lost != self._handled or now >= self._next_pass):
            self._handled, self._next_pass = lost, now + self._context.settings.reconcile_interval
            for peer in sorted(lost):
                with self._context.guard.around("placing the pins anew of", peer):
                    await self._relocate_those_of(peer)
        await self._sleep(self._context.settings.metric_interval)

    def _is_held(self, peer: str) -> bool:
        return peer not in self._absences.live() and self._context.members.duty(peer).is_held

    async def _relocate_those_of(self, peer: str) -> None:
        total = await self._pinset.count(PinQuery(allocated_to=peer))
        if not total and not self._context.members.is_member(peer):
            return
        work = self.work[peer] = RepairWork(self._context.now(), total)
        try:
            await self._relocate_all(peer, work)
        except (OSError, ReadOnlyMember) as error:
            _log.warning("cannot place the pins of %s anew now: %s", peer, error)
        finally:
            work.ended = self._context.now()
        if work.moved:
            _log.info("%s is gone: %d of its pins were placed anew by this member", peer, work.moved)
        if work.short:
            _log.warning(
                "%d pins of %s, which is gone, stay below their minimum: %s", work.short, peer, work.reason
            )

    async def _relocate_all(self, peer: str, work: RepairWork) -> None:
        """Until they are done, or the member is back."""
        async with closed_after(self._pinset.pins(PinQuery(allocated_to=peer))) as pins:
            async for pin in pins:
                if peer not in self._absences.lost or peer in self._back():
                    return
                work.looked_at += 1
                if self._is_ours(pin):
                    await self._relocate_safely(pin, work)
                    await self._sleep(1 / self._context.settings.repin_rate)

    def _back(self) -> frozenset[str]:
        """Members of which there is a sign of life again."""
        return self._context.calls.peers() & self._context.members.peers()

    async def _relocate_safely(self, pin: Pin, work: RepairWork) -> None:
        """Trouble with this pin alone leaves the others to be placed."""
        with self._context.guard.around("placing anew", str(pin.cid)):
            try:
                work.moved += await self._relocate(pin)
            except NotEnoughPeers as error:
                work.short, work.reason = work.short + 1, str(error)
            except OSError as error:
                _log.warning("%s cannot be placed anew now: %s", pin.cid, error)

    def _is_ours(self, pin: Pin) -> bool:
        lost, removed = self._absences.lost, self._context.members.removed()
        left = sum(peer not in lost for peer in pin.allocations)
        is_due = left < pin.options.replication_min or not removed.isdisjoint(pin.allocations)
        return is_due and elected(pin.cid, self._absences.voters()) == self._context.peer

    async def _relocate(self, pin: Pin) -> bool:
        """Raises NotEnoughPeers."""
        async with self._locks.of(pin.cid):
            if await self._pinset.get(pin.cid) != pin:
                return False
            holders = self._placement.situation().replacing(pin, self._absences.lost)
            if holders != pin.allocations:
                await self._pinset.put(pin._replace(allocations=holders))
        return holders != pin.allocations
