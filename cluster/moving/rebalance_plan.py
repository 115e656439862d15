"""What rebalancing comes to, worked out before anything is moved."""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.common.cooperative import TimeSlice
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.moving.balance import Balance, add_held, is_movable
from cluster.moving.drain_plan import Tally
from cluster.moving.member_view import MemberViews


@dataclass(slots=True)
class RebalancePlan:
    """What goes from whom to whom; `before` and `after` are bytes held by name.

    `seconds` is the least time by the rate that is set.
    """

    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    moves: dict[tuple[str, str], Tally] = field(default_factory=dict)  # (from, to); to "": one holder less
    fixed: int = 0  # pins that are left where they are: for every member, or with named holders
    seconds: float = 0.0

    @property
    def pins(self) -> int:
        return sum(tally.pins for tally in self.moves.values())


@dataclass(frozen=True, slots=True)
class Balances:
    """Reads all pins to know what each member holds."""

    context: ClusterContext
    views: MemberViews

    async def now(self) -> Balance:
        held: dict[str, int] = {}
        members, time_slice = self.context.members.peers(), TimeSlice()
        async with closed_after(self.context.pinset.pins()) as pins:
            async for pin in pins:
                add_held(held, pin, members)
                await time_slice.yield_if_due()
        return Balance(held, self.views.now().situation.free())

    async def plan(self) -> RebalancePlan:
        """What would move now; nothing is changed."""
        balance, plan, time_slice = await self.now(), RebalancePlan(), TimeSlice()
        plan.before, situation = dict(balance.held), self.views.now().situation
        async with closed_after(self.context.pinset.pins()) as pins:
            async for pin in pins:
                plan.fixed += not is_movable(pin)
                move = balance.move(pin, situation)
                if move is not None:
                    (source,) = set(pin.allocations) - set(move.holders)
                    target = move.coming[0] if move.coming else ""
                    plan.moves.setdefault((source, target), Tally()).add(pin)
                await time_slice.yield_if_due()
        plan.after = balance.held
        plan.seconds = plan.pins / self.context.settings.repin_rate
        return plan
