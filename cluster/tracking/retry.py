"""Failed operations come back when the time of their next attempt has come."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from cluster.common.loops import steadily
from cluster.context import ClusterContext
from cluster.ports import Attempt, AttemptStore, OperationKind
from cluster.tracking.backlog import Backlog
from cluster.tracking.operation import Lane

_MAX_QUEUED = 1000  # retries in memory at once
_LEASE = 600.0  # seconds until a retry that was handed out is due again, should this process end before it
_LONGEST_WAIT = 60.0  # seconds between two looks

_log = logging.getLogger(__name__)


class Retries:
    """Queues each attempt that is due. Attempts lie in a store, so that they outlive a restart."""

    def __init__(self, context: ClusterContext, attempts: AttemptStore, backlog: Backlog) -> None:
        self._context = context
        self._attempts = attempts
        self._backlog = backlog
        self._horizon = 2 * context.settings.retry_most + _LEASE

    async def run(self) -> None:
        await steadily(self._context.guard, "retrying", "failed pins", self._turn)

    async def _turn(self) -> None:
        """Queue what is due, and wait for the next one or for another failure."""
        self._backlog.failed.clear()
        try:
            wait = await self._queue_due()
        except OSError as error:
            _log.warning("cannot read which pins to retry: %s", error)
            wait = _LONGEST_WAIT
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._backlog.failed.wait()

    async def _queue_due(self) -> float:
        """Seconds until the next look."""
        now, following = self._context.now(), await self._attempts.next_retry()
        room = self._room()
        if room > 0 and following is not None and (following <= now or following > now + self._horizon):
            for attempt in await self._attempts.claim(now, now + self._horizon, now + _LEASE, room):
                self._backlog.put_if_idle(attempt.cid, _lane(attempt))
            following = await self._attempts.next_retry()
        if following is None:
            return _LONGEST_WAIT
        return min(_LONGEST_WAIT, max(1.0, following - self._context.now()))

    def _room(self) -> int:
        queue = self._backlog.queue
        return min(_MAX_QUEUED - queue.waiting(Lane.RETRY), queue.room(Lane.UNPIN))


def _lane(attempt: Attempt) -> Lane:
    return Lane.RETRY if attempt.kind is OperationKind.PIN else Lane.UNPIN
