"""Pins that have fewer holders than they may have get more, once there are members that can take them.

Some were pinned when few members had room. Looking for them reads all pins, so it is done when this member
has come up, and when a member that takes pins has come since the last time; not more often than
`top_up_interval`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from cluster.common.election import elected
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import NotEnoughPeers, ReadOnlyMember
from cluster.moving.member_view import MemberView, MemberViews
from cluster.moving.move import Move
from cluster.moving.mover import Mover
from cluster.pin import Pin

_log = logging.getLogger(__name__)


class ToppingUp:
    """Of each pin one elected member does it, at the rate that is set."""

    def __init__(self, context: ClusterContext, views: MemberViews, mover: Mover) -> None:
        self._context = context
        self._views = views
        self._mover = mover
        self._known: frozenset[str] = frozenset()

    async def run(self) -> None:
        await steadily(self._context.guard, "topping up", "pins", self._turn)

    async def _turn(self) -> None:
        await asyncio.sleep(self._context.settings.top_up_interval)
        candidates = self._views.now().situation.candidates(0)
        if candidates <= self._known:
            return
        try:
            async with closed_after(self._moves()) as moves:
                async for _ in self._mover.moving(moves, lambda: True):
                    pass
        except (OSError, ReadOnlyMember) as error:
            _log.warning("cannot top up pins now: %s", error)
        else:
            self._known = candidates

    async def _moves(self) -> AsyncIterator[Move]:
        async with closed_after(self._views.along()) as pins:
            async for pin, view in pins:
                if _is_short(pin, view) and elected(pin.cid, view.voters) == self._context.peer:
                    move = _topped_up(pin, view)
                    if move is not None and move.coming:
                        yield move


def _is_short(pin: Pin, view: MemberView) -> bool:
    """What is to leave a member is moved anyway, up to its maximum."""
    room = len(pin.allocations) < pin.options.replication_max
    return room and not pin.everywhere and view.away.isdisjoint(pin.allocations)


def _topped_up(pin: Pin, view: MemberView) -> Move | None:
    try:
        return Move(pin, view.situation.replacing(pin, ()))
    except NotEnoughPeers:
        return None
