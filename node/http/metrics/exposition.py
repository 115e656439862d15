"""Readings as Prometheus, or OpenMetrics, has them; the only file that knows prometheus-client.

It is imported at the first scrape: it takes some 0.1 s, most of that for servers that we do not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from node.http.metrics.series import Buckets, Reading, SeriesKind

_PROCESS = ProcessCollector(registry=None)


class _Readings:
    """A collector, as the library has them: the readings of one scrape, then what the system says of us."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        yield from map(_metric, self._readings)
        yield from _PROCESS.collect()


def exposition(readings: Sequence[Reading], accept: str) -> tuple[bytes, str]:
    """The text and its type, in the form that a scraper asks for (header Accept)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(readings))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


def _metric(reading: Reading) -> Metric:
    series = reading.series
    is_counter = series.kind is SeriesKind.COUNTER
    name = series.name.removesuffix("_total") if is_counter else series.name
    metric = Metric(name, series.help, series.kind.value)
    for values, value in reading.samples.items():
        labels = dict(zip(series.labels, values, strict=True))
        if isinstance(value, Buckets):
            _add_buckets(metric, labels, value)
        else:
            metric.add_sample(series.name, labels, float(value))
    return metric


def _add_buckets(metric: Metric, labels: dict[str, str], buckets: Buckets) -> None:
    sums = list(accumulate(buckets.counts))
    for bound, count in zip((*buckets.bounds, inf), sums, strict=True):
        metric.add_sample(
            f"{metric.name}_bucket", {**labels, "le": "+Inf" if bound == inf else str(bound)}, count
        )
    metric.add_sample(f"{metric.name}_sum", labels, buckets.total)
    metric.add_sample(f"{metric.name}_count", labels, sums[-1])
