"""Which members are gone: silent for the whole grace period, or removed.

Silence is measured by this process and not by the wall clock, so that a clock that jumps relocates nothing. A
member that sees fewer than half of all live takes none for gone: more likely it is cut off itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from cluster.common.loops import steadily
from cluster.context import ClusterContext
from cluster.metrics.metric_store import MetricStore


class AbsenceDetector:
    """A failure detector by time-out: which members have been silent for `grace` seconds."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._silent: dict[str, float] = {}

    def observe(self, members: Collection[str], live: Collection[str], now: float) -> frozenset[str]:
        """Which members are gone at `now` (seconds of a clock that never jumps)."""
        self._silent = {peer: self._silent.get(peer, now) for peer in members if peer not in live}
        return frozenset(peer for peer, since in self._silent.items() if now - since >= self._grace)


class Absences:
    """Looks each `metric_interval`."""

    def __init__(
        self,
        context: ClusterContext,
        metrics: MetricStore,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._context = context
        self._metrics = metrics
        self._sleep = sleep
        self._detector = AbsenceDetector(context.settings.repin_grace)
        self.lost: frozenset[str] = frozenset()
        """Members that were silent for too long or removed, whose pins are not to wait for them."""

    async def run(self) -> None:
        await steadily(
            self._context.guard, "looking for members that are gone", "the member list", self._turn
        )

    def live(self) -> frozenset[str]:
        """Members that were heard of lately, or are connected: gossip alone may fail; and this one."""
        return self._metrics.live() | self._context.calls.peers() | {self._context.peer}

    def voters(self) -> frozenset[str]:
        """Of these, those that may write: one of them is elected for each pin."""
        return frozenset(peer for peer in self.live() if self._context.members.is_trusted(peer))

    async def _turn(self) -> None:
        self.lost = self._look(asyncio.get_running_loop().time())
        await self._sleep(self._context.settings.metric_interval)

    def _look(self, now: float) -> frozenset[str]:
        members = self._context.members
        everyone, live = members.peers(), self.live() & members.peers()
        silent = self._detector.observe(everyone, live, now)
        if 2 * len(live) < len(everyone):
            return frozenset()
        return frozenset(peer for peer in silent if not members.duty(peer).is_held) | members.removed()
