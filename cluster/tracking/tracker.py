"""Desired against actual: what the pinset asks of this member, done by a few workers.

Events make it fast: each change of the pinset queues one operation. Reconciliation makes it right: a periodic
pass compares pinset and local pins, and queues what differs. So the queue may be small: what does not fit
stays in the pinset and is found by the next pass. Failures are recorded with the time of their next attempt
and come back from there. No status is kept: it is computed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.context import ClusterContext
from cluster.errors import QueueFull
from cluster.interfaces import PinChange
from cluster.pin import KeyRange, Pin, PinInfo, Status
from cluster.ports import AttemptStore, LocalPin, LocalPins, OperationKind, PinFailed
from cluster.tracking.backlog import Backlog
from cluster.tracking.executor import Executor
from cluster.tracking.group_executor import GroupExecutor
from cluster.tracking.leases import Copy
from cluster.tracking.operation import Lane, Wished, wished_of
from cluster.tracking.operation_queue import OperationQueue
from cluster.tracking.pin_view import PinViews
from cluster.tracking.range_statuses import RangeStatuses
from cluster.tracking.reconcile import Reconciler
from cluster.tracking.releases import AskLease, Releases
from cluster.tracking.retry import Retries
from cluster.tracking.status import (
    LISTED_AT_ONCE,
    RECOVERABLE,
    PinView,
    StatusPage,
    StatusRow,
    pin_info,
)
from cluster.tracking.status_columns import StatusColumns
from cluster.tracking.status_feed import StatusFeed
from cluster.tracking.workers import Workers

MAX_PAGE = 1000
_SCAN = 20_000  # rows looked at for one page at most, so that a rare status does not hold a request for ever


@dataclass(frozen=True, slots=True)
class TrackerWork:
    """Operations that wait and run, by lane; those that have ended since the start, and failed, by kind.

    `behind`: work may be due that is not queued.
    """

    waiting: Mapping[Lane, int]
    running: Mapping[Lane, int]
    ended: Mapping[OperationKind, int]
    failed: Mapping[OperationKind, int]
    behind: bool


class Tracker:
    """`notice` changes, `run` the workers, and ask for the status of one CID or of all."""

    def __init__(
        self, context: ClusterContext, pins: LocalPins, attempts: AttemptStore, ask: AskLease
    ) -> None:
        """`ask`: other members, for leases."""
        self._context = context
        self._pins = pins
        self._attempts = attempts
        workers = context.settings.concurrent_pins
        queue = OperationQueue(context.settings.queue_size, workers)
        self.feed = StatusFeed(context.guard)
        self._backlog = Backlog(queue, context.now, self.feed)
        self._views = PinViews(context.pinset, pins, attempts, queue)
        self._ranges = RangeStatuses(context, pins, attempts, self._backlog)
        self._releases = Releases(context, pins, ask)
        executor = Executor(context, pins, attempts, self._releases)
        groups = GroupExecutor(context, pins, attempts, self._releases)
        self._workers = Workers(self._backlog, executor, groups, workers, context.guard)
        self._retries = Retries(context, attempts, self._backlog)
        self._reconciler = Reconciler(context, self._views, self._backlog, self._lane)
        context.pinset.on_changes(self.notice)

    def notice(self, changes: Sequence[PinChange]) -> None:
        """The pinset says something new of these CIDs. Never waits."""
        peer, fresh = self._context.peer, self._context.now() - self._context.settings.priority_age
        self._backlog.put_many((one.cid, *_wanted(one.pin, peer, fresh)) for one in changes)

    def waiting(self) -> dict[Lane, int]:
        """Operations that wait, by lane."""
        return {lane: self._backlog.queue.waiting(lane) for lane in Lane}

    def work(self) -> TrackerWork:
        """What there is to do, and what came of what was done."""
        queue = self._backlog.queue
        running = {lane: queue.running_in(lane) for lane in Lane}
        return TrackerWork(
            self.waiting(), running, dict(queue.ended), dict(queue.failed), self._backlog.behind
        )

    async def failing(self, kind: OperationKind) -> int:
        """CIDs at which that failed, and of which nothing is being done now."""
        found = await self._attempts.count(kind)
        work = self.work()
        retried = work.waiting[Lane.RETRY] + work.running[Lane.RETRY] if kind is OperationKind.PIN else 0
        return max(0, found - retried)

    def pins_waiting(self) -> int:
        """Pins that are queued and not being worked on."""
        return sum(count for lane, count in self.waiting().items() if lane.kind is OperationKind.PIN)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self._workers, self._retries, self._reconciler):
                group.create_task(part.run())
            group.create_task(self._releases.run(lambda cid: self._backlog.put_if_idle(cid, Lane.UNPIN)))

    async def pinned(self, cid: CID) -> None:
        """Return when its status is `pinned`: for a caller that has just stored the blocks and made the pin.

        Its operation begins at once, beside the workers, however many others wait. Once it has begun it goes
        on if the caller is cancelled. Raises PinFailed with the reason; it is tried again all the same.
        """
        queued = self._backlog.queue.get(cid)
        # One that runs already may fail for want of blocks that have come since: then there is another.
        earlier = queued if queued is not None and queued.running else None
        while queued is not None or (await self.status(cid)).status is not Status.PINNED:
            operation, queued = await self._backlog.expedited(cid), None
            if operation.successor is Lane.UNPIN:
                raise PinFailed("it was unpinned meanwhile")
            if operation.failure and operation.kind is OperationKind.PIN and operation is not earlier:
                raise PinFailed(operation.failure)

    async def removals_done(self) -> None:
        """Return when no pin that was removed from the pinset before is held here, as far as that can be."""
        if self._backlog.behind:
            await self._reconciler.queue_removals()
        await self._backlog.removals_done()

    async def status(self, cid: CID) -> PinInfo:
        """What this member says of the CID, whether or not it is in the pinset."""
        return self._info(await self._views.one(cid))

    async def status_of(self, cids: Sequence[CID]) -> list[PinInfo]:
        """As `status`, of each."""
        return list(map(self._info, await self._views.many(cids)))

    async def page(
        self, wanted: frozenset[Status], after: CID | None = None, limit: int = MAX_PAGE
    ) -> StatusPage:
        """CIDs whose status is one of `wanted`, in order, behind `after`; at most `limit` of them.

        A page may hold fewer, even none, and not be the last. `unpinned` is never listed.
        """
        limit = min(limit, MAX_PAGE)
        if self.lists_at_once(wanted):
            return await self._active_page(wanted, after, limit)
        keys, rows, scanned = KeyRange(bytes(after) if after else b""), list[StatusRow](), 0
        while 2 * len(rows) < limit and scanned < _SCAN:
            part = await self.columns(wanted, keys, limit - len(rows))
            rows += part.every(self._context.peer, self._context.name)
            if part.until >= keys.until:
                return StatusPage(tuple(rows), None)
            keys, scanned = KeyRange(part.until), scanned + limit
        return StatusPage(tuple(rows), CID.decode(keys.after))

    async def columns(
        self, wanted: frozenset[Status], keys: KeyRange, limit: int = MAX_PAGE
    ) -> StatusColumns:
        """Those of the range with one of the statuses; at most `limit` CIDs, so it may end sooner."""
        return await self._ranges.read(wanted, keys, min(limit, MAX_PAGE))

    def lists_at_once(self, wanted: frozenset[Status]) -> bool:
        """Whether these statuses are listed without a walk over the pinset."""
        return wanted <= LISTED_AT_ONCE and not (self._backlog.behind and Status.PIN_QUEUED in wanted)

    async def _active_page(self, wanted: frozenset[Status], after: CID | None, limit: int) -> StatusPage:
        found = await self._views.active(after, limit)
        rows = [StatusRow(cid, self._info(view)) for cid, view in found]
        listed = tuple(row for row in rows if row.info.status in wanted)
        return StatusPage(listed, found[-1][0] if len(found) == limit else None)

    async def statuses(self, wanted: frozenset[Status]) -> AsyncIterator[StatusRow]:
        """All of them, page by page."""
        page = await self.page(wanted)
        while True:
            for row in page.rows:
                yield row
            if page.after is None:
                return
            page = await self.page(wanted, page.after)

    async def holds(self, cid: CID, recursive: bool) -> bool:
        """Whether this member has the block, or all of the DAG, as far as its records say."""
        local = await self._pins.get(cid)
        return local is not None and local.has(recursive)

    async def lease(self, copies: Sequence[Copy]) -> list[bool]:
        """Of each, whether it is here and stays for `leases.LEASE` seconds."""
        return await self._releases.lease(copies)

    async def recover(self, cid: CID) -> PinInfo:
        """Try again now what failed or went missing; the status after that. Raises QueueFull."""
        info = await self.status(cid)
        if info.status not in RECOVERABLE:
            return info
        if not self._put_back(cid, info):
            raise QueueFull(f"cannot retry {cid} now: too many operations are waiting; it is retried later")
        return await self.status(cid)

    async def recover_many(self, cids: Sequence[CID]) -> None:
        """Try again now those that failed or went missing, as far as there is room for them."""
        time_slice = TimeSlice()
        for cid, view in zip(cids, await self._views.many(cids), strict=True):
            info = self._info(view)
            if info.status in RECOVERABLE:
                self._put_back(cid, info)
            await time_slice.yield_if_due()

    async def recover_page(self, after: CID | None = None, limit: int = MAX_PAGE) -> StatusPage:
        """Like `page`, of what failed or went missing; each one that there is room for is tried again now."""
        page = await self.page(RECOVERABLE, after, limit)
        back = [row.cid for row in page.rows if self._put_back(row.cid, row.info)]
        return StatusPage(tuple(map(StatusRow, back, await self.status_of(back))), page.after)

    async def recover_failed(self) -> None:
        """Have all that failed tried again now, as far as there is room for it."""
        page = await self.recover_page()
        while page.after is not None:
            page = await self.recover_page(page.after)

    async def unlisted(self, cid: CID) -> LocalPin | None:
        """The local pin of a CID that the pinset does not have, though no member removed it from there."""
        return await self._pins.get(cid) if await self._reconciler.is_unlisted(cid) else None

    async def forget(self, cid: CID) -> None:
        """Remove a local pin that is only ours."""
        await self._pins.unpin(cid)

    def _put_back(self, cid: CID, info: PinInfo) -> bool:
        lane = Lane.UNPIN if info.status is Status.UNPIN_ERROR else Lane.NORMAL
        return self._backlog.put_if_idle(cid, lane)

    def _info(self, view: PinView) -> PinInfo:
        return pin_info(
            self._context.peer,
            self._context.name,
            replace(view, behind=self._backlog.behind),
            self._context.now(),
        )

    def _lane(self, pin: Pin) -> Lane:
        return _lane(pin, self._context.now() - self._context.settings.priority_age)


def _wanted(pin: Pin | None, peer: str, fresh: float) -> tuple[Lane, Wished]:
    wished = wished_of(pin, peer)
    return _lane(pin, fresh) if pin is not None and wished.is_here else Lane.UNPIN, wished


def _lane(pin: Pin, fresh: float) -> Lane:
    """`fresh`: pins that were made after that moment are."""
    return Lane.FRESH if pin.created > fresh else Lane.NORMAL
