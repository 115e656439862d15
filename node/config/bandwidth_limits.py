"""`network.limits`: how many bytes a second go where, at which time of the day."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

MIN_RATE = 64 * 1024
"""Bytes a second: with less, peers take this node for one that does not answer."""

_DAY = 24 * 60
_UNITS = {"": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ENTRY = re.compile(
    r"(?P<scope>open|members|gateway) +(?P<direction>up|down) +"
    r"(none|(?P<amount>[0-9]{1,15}(\.[0-9]{1,3})?)(?P<unit>[kMG]B|[KMG]iB|)(/s)?)"
    r"( +(?P<begin>[0-2][0-9]:[0-5][0-9])-(?P<end>[0-2][0-9]:[0-5][0-9]))?"
)


class BadLimits(ValueError):
    """Entries of `network.limits` that do not read, or contradict; the text says why."""


class Scope(StrEnum):
    """`OPEN`: the open network. `MEMBERS`: both ways between members. `GATEWAY`: HTTP, to clients, and from
    trustless gateways.
    """

    OPEN = "open"
    MEMBERS = "members"
    GATEWAY = "gateway"


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class DayTime:
    """Minutes of the day, from `begin` up to `end`; over midnight where that is the smaller one."""

    begin: int
    end: int

    def __contains__(self, minute: int) -> bool:
        return (minute - self.begin) % _DAY < (self.end - self.begin) % _DAY

    def overlaps(self, other: DayTime) -> bool:
        return self.begin in other or other.begin in self


@dataclass(frozen=True, slots=True)
class BandwidthLimit:
    """`rate` in bytes a second, None for no limit; `time` None for all times that no other entry names."""

    rate: int | None
    time: DayTime | None


BandwidthLimits = Mapping[tuple[Scope, Direction], Sequence[BandwidthLimit]]


def read_limits(entries: Sequence[str]) -> BandwidthLimits:
    """Raises BadLimits. An entry: scope, direction, bytes a second or `none`, and `HH:MM-HH:MM` where it is
    for that time of the day alone.
    """
    found: dict[tuple[Scope, Direction], list[BandwidthLimit]] = {}
    for entry in entries:
        if (match := _ENTRY.fullmatch(entry.strip())) is None:
            raise BadLimits(f'"{entry}" does not read as a limit')
        key = Scope(match["scope"]), Direction(match["direction"])
        limit = BandwidthLimit(_rate(entry, match), _time(entry, match))
        found.setdefault(key, []).append(limit)
    for key, limits in found.items():
        if any(_contradict(one, other) for one, other in combinations(limits, 2)):
            raise BadLimits(f"{' '.join(key)}: two entries are for the same time")
    return found


def rate_at(limits: Sequence[BandwidthLimit], minute: int) -> int | None:
    """Bytes a second at that minute of the day; an entry with a time goes before one without."""
    timed = [limit.rate for limit in limits if limit.time is not None and minute in limit.time]
    return next(iter([*timed, *(limit.rate for limit in limits if limit.time is None)]), None)


def _contradict(one: BandwidthLimit, other: BandwidthLimit) -> bool:
    if one.time is None or other.time is None:
        return one.time is other.time
    return one.time.overlaps(other.time)


def _rate(entry: str, match: re.Match[str]) -> int | None:
    if match["amount"] is None:
        return None
    rate = int(float(match["amount"]) * _UNITS[match["unit"]])
    if rate < MIN_RATE:
        raise BadLimits(f'"{entry}" is less than {MIN_RATE} bytes a second')
    return rate


def _time(entry: str, match: re.Match[str]) -> DayTime | None:
    if match["begin"] is None:
        return None
    time = DayTime(_minute(match["begin"]), _minute(match["end"]))
    if max(time.begin, time.end) > _DAY or time.begin % _DAY == time.end % _DAY or time.begin == _DAY:
        raise BadLimits(f'"{entry}" has a time that there is not, or one without length')
    return DayTime(time.begin, time.end % _DAY)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
