"""What providing to one DHT has come to since the start, and how its present cycle stands: for reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ProvideFigures:
    """Counted since the start. Times in seconds."""

    lookups: int = 0
    records: int = 0  # sent to servers and taken
    names: int = 0  # that at least one server took
    failed: int = 0  # that none took
    regions: int = 0  # swept
    region_seconds: float = 0.0
    slowest: float = 0.0  # region
    servers: int = 0  # that were to be told in regions
    reached: int = 0  # of these, those that were
    busy: int = 0  # names that are being told


@dataclass(frozen=True, slots=True)
class ProvideStanding:
    """How providing to one DHT stands. `due` names are to be told again before the cycle ends.

    `cycle_began` and `next_at` are seconds since 1970, 0 where there is none; `next_prefix` are the leading
    bits of the next name's key.
    """

    dht: str
    online: bool
    since: float  # when that began, seconds since 1970
    waiting: int  # new roots
    names: int
    due: int
    cycle_began: float
    next_at: float
    next_prefix: str
    hurried: bool  # the cycle runs without pauses: the first one, or after a long absence
    figures: ProvideFigures
