"""The members as one sees them who moves pins: who may take some, who is to hold none, who decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cluster.allocation.absence import Absences
from cluster.allocation.placement import Placement, Situation
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.interfaces import EVERY_PIN, PinQuery
from cluster.pin import Pin


@dataclass(frozen=True, slots=True)
class MemberView:
    """At one moment. `away` are drained, silent for long or removed; `voters` move pins, one for each."""

    situation: Situation
    away: frozenset[str]
    voters: frozenset[str]
    at: float


@dataclass(frozen=True, slots=True)
class MemberViews:
    """Taken afresh while long work goes on: free space changes by what is moved."""

    context: ClusterContext
    placement: Placement
    absences: Absences

    def now(self) -> MemberView:
        return MemberView(
            situation=self.placement.situation(),
            away=self.context.members.drained() | self.absences.lost,
            voters=self.absences.voters(),
            at=self.context.now(),
        )

    async def along(self, query: PinQuery = EVERY_PIN) -> AsyncIterator[tuple[Pin, MemberView]]:
        """The pins, each with a view that is no older than the metrics of members. Close it."""
        view = self.now()
        async with closed_after(self.context.pinset.pins(query)) as pins:
            async for pin in pins:
                if self._is_old(view):
                    view = self.now()
                yield pin, view

    def _is_old(self, view: MemberView) -> bool:
        return abs(self.context.now() - view.at) > self.context.settings.metric_interval
