"""What a face asks for: a member drained, and that taken back; and what that comes to, before."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import CannotDrain
from cluster.interfaces import Duty, Member, PinQuery
from cluster.moving.drain_plan import DrainPlan, fill_plan
from cluster.moving.draining import Draining
from cluster.moving.member_view import MemberViews


@dataclass(frozen=True, slots=True)
class Drains:
    """Members are named by those who ask; see `Peers.find`."""

    context: ClusterContext
    views: MemberViews
    draining: Draining

    async def plan(self, member: Member) -> DrainPlan:
        """What draining it would come to now; nothing is changed."""
        view, pinset = self.views.now(), self.context.pinset
        plan = DrainPlan(member.peer, member.name)
        async with closed_after(pinset.pins(PinQuery(allocated_to=member.peer))) as pins:
            await fill_plan(plan, pins, view.away | {member.peer}, view.situation.without(member.peer))
        total = await pinset.count(PinQuery(allocated_to=member.peer))
        plan.total = max(total, plan.looked_at)
        plan.everywhere = await pinset.count(PinQuery(held_by=member.peer)) - total
        plan.seconds = total / self.context.settings.repin_rate
        return plan

    async def drain(self, member: Member) -> DrainPlan:
        """Have all members know; pins go from then on. Where it is drained already that goes on.

        Raises CannotDrain where no pin could go, ReadOnlyMember, UntrustedPeer.
        """
        self.context.pinset.check_writable()
        plan = await self.plan(member)
        if not plan.moves:
            reasons = "; ".join(f"{count} pins: {why}" for why, count in plan.reasons().items())
            raise CannotDrain(f"nothing can go from {_named(member)}, and nothing was changed: {reasons}")
        if not self.context.members.peers() - self.context.members.drained() - {member.peer}:
            raise CannotDrain(f"{_named(member)} is the only member that takes new pins")
        await self.context.members.set_duty(member.peer, Duty.DRAIN)
        return plan

    async def undo(self, member: Member) -> None:
        """It takes new pins again; those that went stay where they are.

        Raises ReadOnlyMember, UntrustedPeer.
        """
        self.context.pinset.check_writable()
        await self.context.members.set_duty(member.peer, Duty.OPEN)


def _named(member: Member) -> str:
    return member.name or member.peer
