"""A time series as it is declared, and what was read of it at one moment: plain values, no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MAX_LABELLED = 1000
"""Members, or authors, that one series tells apart; there is no more of it for the others."""


Samples = dict[tuple[str, ...], float]
"""Values by the values of the labels."""


class SeriesKind(StrEnum):
    """UNTYPED is what ipfs-cluster's counters are here: they lack the `_total` that names a counter."""

    GAUGE = "gauge"
    COUNTER = "counter"
    UNTYPED = "unknown"
    HISTOGRAM = "histogram"


class Buckets(NamedTuple):
    """Of one histogram: how many were at most `bounds[i]` and above the one before, and the sum of all."""

    bounds: Sequence[float]
    counts: Sequence[int]  # one more than bounds
    total: float


@dataclass(frozen=True, slots=True)
class Series:
    """`labels` are the names of those that tell its samples apart."""

    name: str
    kind: SeriesKind
    help: str
    labels: tuple[str, ...] = ()

    def now(self, value: float) -> Reading:
        """Of one without labels."""
        return Reading(self, {(): value})

    def by(self, samples: Samples) -> Reading:
        """By the values of its labels."""
        return Reading(self, dict(list(samples.items())[:MAX_LABELLED]))


class Reading(NamedTuple):
    """A series at the moment of a scrape."""

    series: Series
    samples: Mapping[tuple[str, ...], float | Buckets]


def gauge(name: str, text: str, *labels: str) -> Series:
    return Series(name, SeriesKind.GAUGE, text, labels)


def counter(name: str, text: str, *labels: str) -> Series:
    """`name` ends in `_total`."""
    return Series(name, SeriesKind.COUNTER, text, labels)


def untyped(name: str, text: str) -> Series:
    return Series(name, SeriesKind.UNTYPED, text)


def histogram(name: str, text: str, *labels: str) -> Series:
    return Series(name, SeriesKind.HISTOGRAM, text, labels)
