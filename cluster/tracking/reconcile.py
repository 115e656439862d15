"""Reconciliation: a periodic pass compares desired (pinset) with actual (local pins) and queues what differs.

Both are read in order and in pages, and the pass goes at the pace of the workers: it waits for room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from blockstore.cid import CID
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.context import ClusterContext
from cluster.errors import BadUpdate
from cluster.pin import Pin
from cluster.ports import PinFailed
from cluster.tracking.backlog import Backlog
from cluster.tracking.operation import Lane
from cluster.tracking.pin_view import PinViews

_PASS_SPACING = 10.0  # seconds between two passes, however many changes found no room
_LOGGED = 20  # unlisted local pins, in the log

_log = logging.getLogger(__name__)


class Reconciler:
    """Finds what no event reported: a change that found no room, a file that was lost, an older copy."""

    def __init__(
        self,
        context: ClusterContext,
        views: PinViews,
        backlog: Backlog,
        lane: Callable[[Pin], Lane],
    ) -> None:
        """`lane` is where a pin that is to be held here waits."""
        self._context = context
        self._views = views
        self._backlog = backlog
        self._lane = lane
        self._interval = context.settings.reconcile_interval
        self._unlisted = 0

    async def run(self) -> None:
        await steadily(self._context.guard, "reconciling", "pinset and local pins", self._turn)

    async def _turn(self) -> None:
        """One pass, and the time until the next."""
        spacing = min(_PASS_SPACING, self._interval)
        self._backlog.missed.clear()
        try:
            await self._pass()
            self._backlog.behind = self._backlog.missed.is_set()
        except (OSError, PinFailed, BadUpdate) as error:
            _log.warning("cannot compare pinset and local pins now: %s", error)
        await asyncio.sleep(spacing)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._interval - spacing):
                await self._backlog.missed.wait()

    async def _pass(self) -> None:
        unlisted: list[CID] = []
        async with closed_after(self._views.difference(self._context.peer)) as differences:
            async for cid, view in differences:
                if view.pin is None and await self.is_unlisted(cid):
                    unlisted.append(cid)
                else:
                    await self._queue(cid)
        self._report(unlisted)

    async def _queue(self, cid: CID) -> None:
        """Unless it is worked on, or was done since the pass saw it; a failed attempt has its own time."""
        view = await self._views.one(cid)
        pin = view.pin if view.pin is not None and view.pin.held_by(self._context.peer) else None
        if view.operation is not None or (view.holds if pin is not None else view.local is None):
            return
        lane = Lane.UNPIN if pin is None else self._lane(pin)
        if view.attempt is None or view.attempt.kind is not lane.kind:
            await self._backlog.put_when_room(cid, lane)

    async def queue_removals(self) -> None:
        """All local pins that were removed from the pinset: some found no room, some no event told of."""
        async with closed_after(self._views.difference(self._context.peer)) as differences:
            async for cid, view in differences:
                if view.pin is None and await self._context.pinset.was_removed(cid):
                    await self._backlog.put_when_room(cid, Lane.UNPIN)

    async def is_unlisted(self, cid: CID) -> bool:
        """Whether the pinset does not have it, though no member is known to have removed it."""
        pinset = self._context.pinset
        return await pinset.get(cid) is None and not await pinset.was_removed(cid)

    def _report(self, unlisted: Sequence[CID]) -> None:
        """Once for each number of them."""
        if unlisted and len(unlisted) != self._unlisted:
            more = f" and {len(unlisted) - _LOGGED} more" if len(unlisted) > _LOGGED else ""
            _log.warning(
                "%d pins are kept that nobody removed and that the list of pins does not have: cluster.db "
                "was lost, damaged, or restored from an older copy. Restore the right one; or list them "
                "again with `pinfold pin add CID`; or let them go with `pinfold pin rm CID`: %s%s",
                len(unlisted),
                ", ".join(map(str, unlisted[:_LOGGED])),
                more,
            )
        self._unlisted = len(unlisted)
