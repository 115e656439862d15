"""Draining: the pins of members that take no new ones go to others, by members that are elected for each.

That a member is drained is a signed record that all members have (`members/record.py`), so it outlives the
command and the node that said so: each trusted member moves those pins that it is elected for, at its next
look, until none is left. A pin that no other member can hold stays where it is, whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from cluster.common.election import elected
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import NotEnoughPeers, ReadOnlyMember
from cluster.interfaces import Duty, PinQuery
from cluster.moving.member_view import MemberViews
from cluster.moving.move import Move
from cluster.moving.mover import Mover

_LOOK = 5.0  # seconds between two looks at who is drained
_LONGEST_PAUSE = 300.0  # seconds between two passes that moved nothing

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class DrainWork:
    """What this member did for one that is drained, and what kept its own share of the pins there, lastly."""

    moved: int = 0
    stuck: int = 0
    reason: str = ""


class Draining:
    """`run` it for as long as this member runs."""

    def __init__(
        self,
        context: ClusterContext,
        views: MemberViews,
        mover: Mover,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._context = context
        self._views = views
        self._mover = mover
        self._sleep = sleep
        self._pause = 0.0
        self.work: dict[str, DrainWork] = {}
        """By member, while it is drained."""

    async def run(self) -> None:
        await steadily(self._context.guard, "draining", "members", self._turn)

    async def _turn(self) -> None:
        """A pass over the pins of each drained member, and a pause that grows while nothing can be moved."""
        drained = self._context.members.drained()
        self.work = {peer: self.work.get(peer, DrainWork()) for peer in drained}
        moved = 0
        for peer in sorted(drained):
            moved += await self._pass_of(peer)
        look = min(_LOOK, self._context.settings.metric_interval)
        self._pause = look if moved or not drained else min(_LONGEST_PAUSE, max(look, 2 * self._pause))
        await self._wait_for_change(drained)

    async def _wait_for_change(self, drained: frozenset[str]) -> None:
        """The pause, or until another member is drained or one is no more."""
        end = asyncio.get_running_loop().time() + self._pause
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await self._sleep(min(_LOOK, left))
            if self._context.members.drained() != drained:
                return

    async def _pass_of(self, peer: str) -> int:
        try:
            moved = await self._pass(peer)
        except (OSError, ReadOnlyMember) as error:
            _log.warning("cannot move the pins of %s now: %s", peer, error)
            return 0
        if moved:
            _log.info("%s is drained: %d of its pins were moved by this member", peer, moved)
        return moved

    async def _pass(self, peer: str) -> int:
        if self._context.members.duty(peer) is not Duty.DRAIN:
            return 0
        self.work[peer].stuck = 0
        moved, goes_on = 0, lambda: self._context.members.duty(peer) is Duty.DRAIN
        async with closed_after(self._moves(peer)) as moves:
            async for settled in self._mover.moving(moves, goes_on):
                self.work[peer].moved += settled
                moved += settled
        return moved

    async def _moves(self, peer: str) -> AsyncIterator[Move]:
        """Of the pins that are ours to move, those that others can hold."""
        work = self.work[peer]
        async with closed_after(self._views.along(PinQuery(allocated_to=peer))) as pins:
            async for pin, view in pins:
                if elected(pin.cid, view.voters) != self._context.peer:
                    continue
                try:
                    yield Move(pin, view.situation.replacing(pin, view.away))
                except NotEnoughPeers as error:
                    work.stuck, work.reason = work.stuck + 1, str(error)
