"""One operation, performed: fetch and record a pin, or forget it once others have it.

A failed one is tried again with exponential back-off and jitter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import random

from blockstore.cid import CID
from blockstore.common.backoff import Backoff
from cluster.context import ClusterContext
from cluster.pin import Pin, PinMode, Progress
from cluster.ports import (
    Attempt,
    AttemptStore,
    LocalPins,
    OperationKind,
    PinFailed,
)
from cluster.tracking.giving_up import GivingUp, Next, deadline_passed
from cluster.tracking.operation import Lane, Operation
from cluster.tracking.releases import Releases

MAX_HINTS = 32
MAX_REASON = 500
"""Characters of a reason that are kept and sent to other members."""

LOGGED_ATTEMPT = 3  # whose failure is a warning in the log: what fails that often does not mend by itself
FIRST_TIMEOUT = 30.0
"""Seconds a first attempt waits for its first block; later ones have the whole `pin_timeout`."""

_log = logging.getLogger(__name__)


class Executor:
    """Does what the pinset says of one CID *now*, whatever it was when the operation was queued."""

    def __init__(
        self,
        context: ClusterContext,
        pins: LocalPins,
        attempts: AttemptStore,
        releases: Releases,
        jitter: Callable[[], float] = random,
    ) -> None:
        self._context = context
        self._pinset = context.pinset
        self._pins = pins
        self._attempts = attempts
        self._releases = releases
        self._giving_up = GivingUp(context, releases)
        self._backoff = Backoff(context.settings.retry_first, context.settings.retry_most, draw=jitter)

    async def perform(self, operation: Operation) -> bool:
        """Do it; false when it failed and its retry is recorded. Cancelling keeps what was fetched.

        Raises OSError when the failure itself cannot be recorded.
        """
        pin = await self._pinset.get(operation.cid)
        held = pin is not None and pin.held_by(self._context.peer)
        if held != (operation.kind is OperationKind.PIN):
            operation.successor = operation.successor or (Lane.NORMAL if held else Lane.UNPIN)
            return True
        (attempt,) = await self._attempts.get_many([operation.cid])
        try:
            await self._pin_or_release(operation, pin, attempt)
        except PinFailed as error:
            await self._record_failure(operation, attempt, error, pin)
            return False
        if attempt is not None:
            await self._attempts.remove(operation.cid)
        return True

    async def _pin_or_release(self, operation: Operation, pin: Pin | None, attempt: Attempt | None) -> None:
        if pin is not None and operation.kind is OperationKind.PIN:
            await self._walk(operation, pin, self._first_timeout(attempt))
        else:
            await self._release(operation.cid, pin)

    async def _walk(self, operation: Operation, pin: Pin, first_timeout: float) -> None:
        """`first_timeout` is the time for the first progress; after that it is the setting."""
        timeout = self._context.settings.pin_timeout
        whole = asyncio.timeout(self._giving_up.seconds_left(pin))
        try:
            async with whole:
                await self._walk_while_it_moves(operation, pin, first_timeout, timeout)
        except TimeoutError:
            if whole.expired():
                raise deadline_passed(pin) from None
            raise PinFailed(_stalled(operation.progress, first_timeout, timeout)) from None

    async def _walk_while_it_moves(
        self, operation: Operation, pin: Pin, first_timeout: float, timeout: float
    ) -> None:
        """Raises TimeoutError, PinFailed."""
        async with asyncio.timeout(first_timeout) as deadline:
            await self._pins.pin(
                pin.cid,
                recursive=pin.options.mode is PinMode.RECURSIVE,
                hints=self._hints(pin),
                progress=_extending(operation, deadline, timeout),
                max_size=pin.options.max_size,
            )

    def _first_timeout(self, attempt: Attempt | None) -> float:
        """Short for a first attempt: many hopeless pins at once must not hold up those behind them."""
        longest = self._context.settings.pin_timeout
        return longest if attempt is not None else min(longest, FIRST_TIMEOUT)

    def _hints(self, pin: Pin) -> list[str]:
        """Origins, then members: those that are to hold it and are connected first."""
        connected = self._context.calls.peers()
        others = sorted(self._context.members.peers() - {self._context.peer})
        others.sort(key=lambda peer: (peer not in connected, not pin.held_by(peer)))
        return [*pin.options.origins, *others][:MAX_HINTS]

    async def _release(self, cid: CID, pin: Pin | None) -> None:
        """Forget it, unless it was moved and is still needed here: then it is asked again later.

        That the pinset does not have it is no reason: see `PinsetReader.was_removed`.
        """
        if await self._pins.get(cid) is None:
            return
        if pin is not None:
            await self._releases.let_go([pin])
        elif await self._pinset.was_removed(cid):
            await self._pins.unpin(cid)

    async def failed(self, operation: Operation, reason: str) -> None:
        """Record that it failed, and when it is tried again. Raises OSError."""
        (attempt,) = await self._attempts.get_many([operation.cid])
        await self._record_failure(operation, attempt, PinFailed(reason), None)

    async def _record_failure(
        self, operation: Operation, before: Attempt | None, failure: PinFailed, pin: Pin | None
    ) -> None:
        """`pin`: whose limits may say that this was the last attempt."""
        operation.failure = str(failure)
        count = 1 + (before.count if before is not None and before.kind is operation.kind else 0)
        wait, now = self._backoff.after(count), self._context.now()
        if pin is not None and operation.kind is OperationKind.PIN:
            what = await self._giving_up.after(pin, count, failure, wait)
        else:
            what = Next(now + wait)
        operation.failure = f"{what.given_up}: {failure}" if what.given_up else str(failure)
        reason = operation.failure[:MAX_REASON]
        await self._attempts.put(Attempt(operation.cid, operation.kind, count, reason, now, what.at))
        _log.log(
            logging.WARNING if what.at is None or count == LOGGED_ATTEMPT else logging.DEBUG,
            "%s %s failed (attempt %d, %s): %s",
            operation.kind,
            operation.cid,
            count,
            "the last" if what.at is None else f"next in {what.at - now:.0f} s",
            operation.failure,
        )


def _extending(operation: Operation, deadline: asyncio.Timeout, timeout: float) -> Callable[[Progress], None]:
    """Remember progress, and give the walk its full time again whenever there is some."""
    loop = asyncio.get_running_loop()

    def progressed(progress: Progress) -> None:
        if progress != operation.progress and not deadline.expired():
            deadline.reschedule(loop.time() + timeout)
        operation.progress = progress

    return progressed


def _stalled(progress: Progress | None, first_timeout: float, timeout: float) -> str:
    if progress is None:
        return f"no progress for {first_timeout:g} s: no block came"
    return (
        f"no progress for {timeout:g} s: {progress.blocks} blocks ({progress.bytes} bytes) are here, "
        f"at least {progress.pending} more are needed"
    )
