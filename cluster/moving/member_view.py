"""The members as one sees them who moves pins: who may take some, who is to hold none, who decides."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.allocation.absence import Absences
from cluster.allocation.placement import Placement, Situation
from cluster.context import ClusterContext


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

    def is_old(self, view: MemberView) -> bool:
        return abs(self.context.now() - view.at) > self.context.settings.metric_interval
