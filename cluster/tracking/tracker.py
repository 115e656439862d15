"""Desired against actual: what the pinset wishes of this member, done by a few workers.

Events make it fast: each change of the pinset queues one operation. Reconciling makes it right: a periodic
pass compares pinset and local pins, both in order and in pages, and queues what differs, at the pace of the
workers. So the queue may be small: what does not fit stays in the pinset and is found by the next pass.
Failures are recorded with the time of their next attempt and come back from there. No status is kept: it is
computed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from blockstore.cid import CID
from blockstore.common.guard import Guard
from cluster.common.loops import steadily
from cluster.common.sorted_merge import closed_after
from cluster.errors import BadUpdate, QueueFull
from cluster.interfaces import PinChange, PinQuery, PinsetReader
from cluster.pin import Pin, PinInfo, Status
from cluster.ports import AttemptStore, LocalPin, LocalPins, OperationKind, PinFailed
from cluster.settings import ClusterSettings
from cluster.tracking.executor import Executor
from cluster.tracking.operation_queue import Lane, Operation, OperationQueue
from cluster.tracking.pin_view import PinViews
from cluster.tracking.status import IN_FLIGHT, RECOVERABLE, PinView, StatusPage, StatusRow, pin_info

MAX_PAGE = 1000
_SCAN = 20_000  # rows looked at for one page at most, so that a rare status does not hold a request for ever
_LEASE = 600.0  # seconds until a retry that was handed out is due again, should this process end before it
_RETRY_LANE = 1000  # retries in memory at once
_FAULT = "a fault of this program: its log says more, please report it"
_NAMED = 20  # of local pins that the pinset does not have, in the log
_PASS_SPACING = 10.0  # seconds between two passes, however many changes found no room

log = logging.getLogger(__name__)


class Tracker:
    """`notice` changes, `run` the workers, and ask for the status of one CID or of all."""

    def __init__(
        self,
        peer: str,
        name: str,
        pinset: PinsetReader,
        pins: LocalPins,
        attempts: AttemptStore,
        executor: Executor,
        settings: ClusterSettings,
        *,
        now: Callable[[], float],
        guard: Guard,
    ) -> None:
        self.peer = peer
        self._name = name
        self._pinset = pinset
        self._pins = pins
        self._attempts = attempts
        self._executor = executor
        self._settings = settings
        self._now = now
        self._guard = guard
        self._queue = OperationQueue(settings.queue_size, settings.concurrent_pins)
        self._views = PinViews(pinset, pins, attempts, self._queue)
        self._turn = asyncio.Event()  # replaced each time it is set: wakes every worker that waits
        self._room = asyncio.Event()
        self._failure = asyncio.Event()
        self._missed = asyncio.Event()
        self._unlisted = 0
        self._behind = True  # until a pass has found nothing that is not queued
        pinset.on_change(self.notice)

    def notice(self, change: PinChange) -> None:
        """The pinset says something new of a CID. Never waits."""
        held = change.pin is not None and change.pin.held_by(self.peer)
        self._enqueue(change.cid, self._lane(change.pin) if held and change.pin else Lane.UNPIN)

    def waiting(self) -> dict[Lane, int]:
        """Operations that wait, by lane; for metrics."""
        return {lane: self._queue.waiting(lane) for lane in Lane}

    def running(self) -> int:
        return self._queue.running()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.concurrent_pins):
                group.create_task(self._working("pinning", self._queue.take_pin))
            group.create_task(self._working("unpinning", self._queue.take_unpin))
            group.create_task(steadily(self._guard, "retrying", "failed pins", self._retry))
            group.create_task(steadily(self._guard, "reconciling", "pinset and local pins", self._reconcile))

    async def status(self, cid: CID) -> PinInfo:
        """What this member says of the CID, whether or not it is in the pinset."""
        return self._info(await self._views.one(cid))

    async def page(
        self, wanted: frozenset[Status], after: CID | None = None, limit: int = MAX_PAGE
    ) -> StatusPage:
        """CIDs whose status is one of `wanted`, in order, behind `after`; at most `limit` of them.

        A page may hold fewer, even none, and not be the last. `unpinned` is never listed.
        """
        rows: list[StatusRow] = []
        scanned = 0
        async with closed_after(self._listed(wanted, after)) as views:
            async for cid, view in views:
                scanned += 1
                info = await self._settled_info(cid, view)
                if info.status in wanted and info.status is not Status.UNPINNED:
                    rows.append(StatusRow(cid, info))
                if len(rows) >= min(limit, MAX_PAGE) or scanned >= _SCAN:
                    return StatusPage(tuple(rows), cid)
        return StatusPage(tuple(rows), None)

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
        local = (await self._views.one(cid)).local
        return local is not None and local.has(recursive)

    async def recover(self, cid: CID) -> PinInfo:
        """Try again now what failed or went missing; the status after that. Raises QueueFull."""
        info = await self.status(cid)
        if info.status not in RECOVERABLE:
            return info
        if not self._put_back(cid, info):
            raise QueueFull(f"cannot retry {cid} now: too many operations are waiting; it is retried later")
        return await self.status(cid)

    async def recover_page(self, after: CID | None = None, limit: int = MAX_PAGE) -> StatusPage:
        """Like `page`, of what failed or went missing; each one that there is room for is tried again now."""
        page = await self.page(RECOVERABLE, after, limit)
        back = [row.cid for row in page.rows if self._put_back(row.cid, row.info)]
        return StatusPage(tuple([StatusRow(cid, await self.status(cid)) for cid in back]), page.after)

    def _put_back(self, cid: CID, info: PinInfo) -> bool:
        lane = Lane.UNPIN if info.status is Status.UNPIN_ERROR else Lane.NORMAL
        accepted = self._queue.put_if_idle(cid, lane, self._now())
        self._wake()
        return accepted

    def _listed(self, wanted: frozenset[Status], after: CID | None) -> AsyncIterator[tuple[CID, PinView]]:
        if wanted <= IN_FLIGHT and not (self._behind and Status.PIN_QUEUED in wanted):
            return self._views.active(after)
        held_by = None if Status.REMOTE in wanted else self.peer
        return self._views.all(PinQuery(after=after, held_by=held_by))

    async def _settled_info(self, cid: CID, view: PinView) -> PinInfo:
        """The status from facts read at different times, read again where they seem to disagree."""
        info = self._info(replace(view, operation=self._queue.get(cid)))
        if info.status is Status.UNEXPECTEDLY_UNPINNED:
            return self._info(await self._views.one(cid))
        return info

    def _info(self, view: PinView) -> PinInfo:
        return pin_info(self.peer, self._name, replace(view, behind=self._behind), self._now())

    def _lane(self, pin: Pin) -> Lane:
        return Lane.FRESH if self._now() < pin.created + self._settings.priority_age else Lane.NORMAL

    def _enqueue(self, cid: CID, lane: Lane) -> None:
        if not self._queue.put(cid, lane, self._now()):
            self._behind = True
            self._missed.set()
        self._wake()

    def _wake(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()

    async def _working(self, what: str, take: Callable[[float], Operation | None]) -> None:
        await steadily(self._guard, what, "a worker", lambda: self._work(take))

    async def _work(self, take: Callable[[float], Operation | None]) -> None:
        operation = take(self._now())
        if operation is None:
            await self._turn.wait()
            return
        self._room.set()
        try:
            async with asyncio.TaskGroup() as group:
                operation.cancel = group.create_task(self._perform(operation)).cancel
        finally:
            self._finish(operation)

    async def _perform(self, operation: Operation) -> None:
        judged = False
        with self._guard.around(operation.kind.value, str(operation.cid)):
            try:
                if not await self._executor.perform(operation):
                    self._failure.set()
            except OSError as error:
                # The disk is full: there is no place to note the failure. The next pass finds the CID again.
                log.warning("cannot record the failure of %s: %s", operation.cid, error)
            judged = True
        if not judged:
            await self._give_up(operation)

    async def _give_up(self, operation: Operation) -> None:
        """A fault of this program, told already: what it was about waits as after any other failure."""
        with self._guard.around("noting the failure of", str(operation.cid), OSError):
            await self._executor.failed(operation, _FAULT)
            self._failure.set()

    def _finish(self, operation: Operation) -> None:
        if not self._queue.finish(operation, self._now()):
            self._behind = True
            self._missed.set()
        self._wake()

    async def _retry(self) -> None:
        """Bring failed operations back when their time has come."""
        self._failure.clear()
        try:
            wait = await self._bring_back()
        except OSError as error:
            log.warning("cannot read which pins to retry: %s", error)
            wait = 60.0
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._failure.wait()

    async def _bring_back(self) -> float:
        """Queue what is due; seconds until the next look."""
        room = min(_RETRY_LANE - self._queue.waiting(Lane.RETRY), self._queue.room(Lane.UNPIN))
        now, following = self._now(), await self._attempts.next_retry()
        horizon = now + 2 * self._settings.retry_most + _LEASE
        if room > 0 and following is not None and (following <= now or following > horizon):
            for attempt in await self._attempts.claim(now, horizon, now + _LEASE, room):
                pinning = attempt.kind is OperationKind.PIN
                self._queue.put_if_idle(attempt.cid, Lane.RETRY if pinning else Lane.UNPIN, now)
            self._wake()
            following = await self._attempts.next_retry()
        if following is None:
            return 60.0
        return min(60.0, max(1.0, following - self._now()))

    async def _reconcile(self) -> None:
        """One pass, and the time until the next."""
        spacing = min(_PASS_SPACING, self._settings.reconcile_interval)
        self._missed.clear()
        try:
            await self._pass()
            self._behind = self._missed.is_set()
        except (OSError, PinFailed, BadUpdate) as error:
            log.warning("cannot compare pinset and local pins now: %s", error)
        await asyncio.sleep(spacing)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.reconcile_interval - spacing):
                await self._missed.wait()

    async def _pass(self) -> None:
        """Queue every CID where pinset and local pins differ, waiting for room as long as there is none."""
        unlisted: list[CID] = []
        async with closed_after(self._views.difference(self.peer)) as differences:
            async for cid, view in differences:
                if view.pin is None and await self._is_unlisted(cid):
                    unlisted.append(cid)
                    continue
                (attempt,) = await self._attempts.get_many([cid])
                lane = Lane.UNPIN if view.pin is None else self._lane(view.pin)
                if attempt is not None and attempt.kind is lane.kind:
                    continue  # its time comes by itself
                await self._queue_in_turn(cid, lane)

        self._tell_unlisted(unlisted)

    async def unlisted(self, cid: CID) -> LocalPin | None:
        """The local pin of a CID that the pinset does not have, though nobody removed it from there."""
        return await self._pins.get(cid) if await self._is_unlisted(cid) else None

    async def let_go(self, cid: CID) -> None:
        """Forget a local pin of ours alone."""
        await self._pins.unpin(cid)

    async def _is_unlisted(self, cid: CID) -> bool:
        return await self._pinset.get(cid) is None and not await self._pinset.was_removed(cid)

    def _tell_unlisted(self, cids: Sequence[CID]) -> None:
        """Once for each number of them."""
        if cids and len(cids) != self._unlisted:
            more = f" and {len(cids) - _NAMED} more" if len(cids) > _NAMED else ""
            log.warning(
                "%d pins are kept that nobody removed and that the list of pins does not have: cluster.db "
                "was lost, damaged, or restored from an older copy. Restore the right one; or list them "
                "again with `pinfold pin add CID`; or let them go with `pinfold pin rm CID`: %s%s",
                len(cids),
                ", ".join(map(str, cids[:_NAMED])),
                more,
            )
        self._unlisted = len(cids)

    async def _queue_in_turn(self, cid: CID, lane: Lane) -> None:
        while not self._queue.put_if_idle(cid, lane, self._now()):
            self._room.clear()
            await self._room.wait()
        self._wake()
