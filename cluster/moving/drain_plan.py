"""What draining a member comes to, worked out before anything is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

from cluster.allocation.placement import Situation
from cluster.common.cooperative import TimeSlice
from cluster.errors import NotEnoughPeers
from cluster.moving.move import Move
from cluster.pin import Pin

MAX_LOOKED_AT = 20_000
"""Pins that a plan looks at; of more it tells as if the others were like these."""

_MAX_REASONS = 8


@dataclass(slots=True)
class Tally:
    """Pins, their bytes as far as those are known, and of how many they are not."""

    pins: int = 0
    bytes: int = 0
    unsized: int = 0

    def add(self, pin: Pin) -> None:
        self.pins += 1
        self.bytes += pin.size
        self.unsized += not pin.size


@dataclass(slots=True)
class DrainPlan:
    """Of the pins that name that member: what goes where, what others hold already, what stays and why.

    `everywhere` counts pins for every member, which stay until it is removed. `looked_at` of `total` were
    worked out and tallied, `seconds` is the least time by the rate that is set.
    """

    peer: str
    name: str
    total: int = 0
    looked_at: int = 0
    held: Tally = field(default_factory=Tally)
    to: dict[str, Tally] = field(default_factory=dict)
    let_go: Tally = field(default_factory=Tally)
    staying: Counter[str] = field(default_factory=Counter)
    everywhere: int = 0
    seconds: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether any pin can go, or there is none."""
        return not self.looked_at or sum(self.staying.values()) < self.looked_at

    def reasons(self) -> Mapping[str, int]:
        """Why pins stay, the most frequent reasons."""
        return dict(self.staying.most_common(_MAX_REASONS))


async def fill_plan(
    plan: DrainPlan, pins: AsyncIterator[Pin], away: Collection[str], situation: Situation
) -> None:
    """Look at the pins that name the member."""
    time_slice = TimeSlice()
    async for pin in pins:
        if plan.looked_at == MAX_LOOKED_AT:
            return
        plan.looked_at += 1
        plan.held.add(pin)
        _tally(plan, pin, away, situation)
        await time_slice.yield_if_due()


def _tally(plan: DrainPlan, pin: Pin, away: Collection[str], situation: Situation) -> None:
    try:
        move = Move(pin, situation.replacing(pin, away))
    except NotEnoughPeers as error:
        plan.staying[str(error)] += 1
        return
    if not move.coming:
        plan.let_go.add(pin)
    for peer in move.coming:
        plan.to.setdefault(peer, Tally()).add(pin)
