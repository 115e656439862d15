"""Rebalancing: pins go from fuller members to emptier ones, by the member that was asked for it.

It is a rule and no list: each pass reads what members hold and goes on from there, until one moves nothing.
So what is kept over a restart is that it was asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import ReadOnlyMember, RebalanceRuns
from cluster.moving.balance import Balance
from cluster.moving.move import Move
from cluster.moving.mover import Mover
from cluster.moving.rebalance_plan import Balances, RebalancePlan

_AGAIN = 60.0  # seconds after a pass that was not possible

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Rebalance:
    """One that was asked for. Times in seconds since 1970; `planned` pins, as far as was known at first."""

    begun: float
    planned: int
    moved: int = 0
    paused: bool = False
    ended: float | None = None
    cancelled: bool = False
    detail: str = ""


class Rebalancing:
    """At most one at a time at this member."""

    def __init__(self, context: ClusterContext, balances: Balances, mover: Mover) -> None:
        self._context = context
        self._balances = balances
        self._mover = mover
        self._changed = asyncio.Event()
        self.current: Rebalance | None = None
        """The one that is under way, or the last one."""

    async def plan(self) -> RebalancePlan:
        """What would move now; nothing is changed."""
        return await self._balances.plan()

    async def begin(self) -> RebalancePlan:
        """Raises ReadOnlyMember, and RebalanceRuns while one is under way."""
        self._context.pinset.check_writable()
        self._check_none_is_on()
        plan = await self.plan()
        self._check_none_is_on()  # another request may have begun one meanwhile
        self.go_on(Rebalance(self._context.now(), plan.pins))
        return plan

    def go_on(self, rebalance: Rebalance) -> None:
        """With one that was asked for, before a restart, say."""
        self.current = rebalance
        self._changed.set()

    def now(self) -> float:
        """Seconds since 1970, as `Rebalance` has them."""
        return self._context.now()

    def pause(self, paused: bool) -> None:
        """What stands between two steps stays so meanwhile."""
        if self.current is not None:
            self.current.paused = paused
            self._changed.set()

    def cancel(self) -> None:
        """What has moved stays where it is."""
        if self.current is not None:
            self.current.cancelled = True
            self.current.ended = self._context.now()

    async def run(self) -> None:
        await steadily(self._context.guard, "rebalancing", "members", self._turn)

    async def _turn(self) -> None:
        """A pass, where one is asked for."""
        self._changed.clear()
        current = self.current
        if current is None or not self._goes_on(current):
            await self._changed.wait()
            return
        try:
            moved = await self._pass(current)
        except (OSError, ReadOnlyMember) as error:
            current.detail = str(error)
            _log.warning("cannot rebalance now: %s", error)
            await asyncio.sleep(_AGAIN)
            return
        if not moved and self._goes_on(current):
            current.ended, current.detail = self._context.now(), ""
            _log.info("rebalanced: %d pins were moved", current.moved)

    async def _pass(self, current: Rebalance) -> int:
        before = current.moved
        async with closed_after(self._moves(await self._balances.now())) as moves:
            async for moved in self._mover.moving(moves, lambda: self._goes_on(current)):
                current.moved += moved
        return current.moved - before

    async def _moves(self, balance: Balance) -> AsyncIterator[Move]:
        async with closed_after(self._balances.views.along()) as pins:
            async for pin, view in pins:
                move = None if view.away.intersection(pin.allocations) else balance.move(pin, view.situation)
                if move is not None:
                    yield move

    def _goes_on(self, current: Rebalance) -> bool:
        return current is self.current and current.ended is None and not current.paused

    def _check_none_is_on(self) -> None:
        if self.current is not None and self.current.ended is None:
            raise RebalanceRuns("a rebalance is under way at this member: `pinfold jobs` says how far it is")
