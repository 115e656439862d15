"""What this node's traffic passes: one throttle a scope and direction, by the settings of this hour."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from blockstore.common.throttle import BothWays, Throttle
from node.config.bandwidth_limits import (
    BandwidthLimit,
    BandwidthLimits,
    Direction,
    Scope,
    rate_at,
    read_limits,
)

MinuteOfDay = Callable[[], int]


def local_minute() -> int:
    """By this machine's clock and time zone."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Block data, both ways: with the open network, with members, and by HTTP."""

    open: BothWays
    members: BothWays
    gateway: BothWays

    def __iter__(self) -> Iterator[tuple[Scope, BothWays]]:
        yield Scope.OPEN, self.open
        yield Scope.MEMBERS, self.members
        yield Scope.GATEWAY, self.gateway


def bandwidth_of(entries: Sequence[str], minute: MinuteOfDay = local_minute) -> Bandwidth:
    """Of the setting `network.limits`. Raises BadLimits."""
    limits = read_limits(entries)
    return Bandwidth(*(_both_ways(limits, scope, minute) for scope in Scope))


def _both_ways(limits: BandwidthLimits, scope: Scope, minute: MinuteOfDay) -> BothWays:
    up, down = (limits.get((scope, direction), ()) for direction in Direction)
    return BothWays(Throttle(partial(_now, up, minute)), Throttle(partial(_now, down, minute)))


def _now(limits: Sequence[BandwidthLimit], minute: MinuteOfDay) -> int | None:
    return rate_at(limits, minute())
