"""When a member stops trying a pin, by the limits of that pin (docs/decisions/0017-limits-of-a-pin.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from cluster.context import ClusterContext
from cluster.pin import Pin
from cluster.ports import PinFailed, PinTooLarge
from cluster.tracking.releases import Releases

LAST_TRY = 30.0
"""Seconds before the deadline when the last attempt begins, where the back-off would have it begin later."""


class Next(NamedTuple):
    """When the next attempt begins, in seconds since 1970; None = none, and why."""

    at: float | None
    given_up: str = ""


class GivingUp:
    """Deadline and attempts are for content that no member has: of what another one has a copy is made.

    So a pin that is moved long after its deadline is fetched like any other.
    """

    def __init__(self, context: ClusterContext, releases: Releases) -> None:
        self._context = context
        self._releases = releases

    def seconds_left(self, pin: Pin) -> float | None:
        """Until the deadline, which ends a walk. None without one.

        None too once it has passed: what begins later was asked for anew, and is tried once.
        """
        left = pin.options.deadline - self._context.now()
        return left if left > 0 else None

    async def after(self, pin: Pin, count: int, failure: PinFailed, wait: float) -> Next:
        """What follows the `count`-th attempt, which failed so; `wait` in seconds, by the back-off."""
        if isinstance(failure, PinTooLarge):
            return Next(None, "given up")
        following = self._within_limits(pin, count, wait)
        if following.at is None and await self._releases.is_held_elsewhere(pin):
            return Next(self._context.now() + wait)
        return following

    def _within_limits(self, pin: Pin, count: int, wait: float) -> Next:
        most, end, now = pin.options.attempts, pin.options.deadline, self._context.now()
        if 0 < most <= count:
            return Next(None, f"given up after {count} failed attempt{'s' if count > 1 else ''}")
        if not end or now + wait < end:
            return Next(now + wait)
        if now < end - LAST_TRY:
            return Next(end - LAST_TRY)
        return Next(None, f"given up, its deadline was {_text(end)}")


def deadline_passed(pin: Pin) -> PinFailed:
    """What ends a walk at the deadline."""
    return PinFailed(f"not all of it had come by {_text(pin.options.deadline)}")


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
