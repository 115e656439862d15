"""One heartbeat: what a member says of itself at one moment, in its form on the wire (strict dag-cbor)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.common.envelope import Sealed
from cluster.common.wire import Fields, Wire, encode
from cluster.errors import BadUpdate
from cluster.metrics.informers import MetricReading
from cluster.metrics.metric_store import MAX_METRICS, Metric

MAX_MESSAGE = 64 * 1024
MAX_TTL = 3600.0


@dataclass(frozen=True, slots=True)
class Report:
    """`stamp`: milliseconds since 1970 by the member's own clock; `ttl`: seconds that it counts."""

    peer: str
    stamp: int
    ttl: float
    readings: tuple[MetricReading, ...]

    def metrics(self, now: float) -> list[Metric]:
        """As they are kept when they come at `now`, seconds since 1970 by our clock."""
        return [
            Metric(one.name, self.peer, one.value, one.weight, now + self.ttl, now, one.partitionable)
            for one in self.readings
        ]

    def encode(self) -> bytes:
        readings = [_fields(one) for one in self.readings]
        return encode({"peer": self.peer, "stamp": self.stamp, "ttl": self.ttl, "metrics": readings})

    @classmethod
    def decode(cls, sealed: Sealed) -> Report:
        """Raises BadUpdate."""
        fields = Fields.decode(sealed.payload, MAX_MESSAGE)
        ttl = fields.number("ttl")
        if not 0 < ttl <= MAX_TTL:
            raise BadUpdate(f"metrics that count for {ttl} seconds")
        readings = tuple(_reading(Fields(item)) for item in fields.items("metrics", MAX_METRICS))
        return cls(fields.text("peer", limit=128), fields.integer("stamp"), ttl, readings)


def _fields(one: MetricReading) -> Mapping[str, Wire]:
    return {"name": one.name, "value": one.value, "weight": one.weight, "part": int(one.partitionable)}


def _reading(fields: Fields) -> MetricReading:
    return MetricReading(
        name=fields.text("name", limit=128),
        value=fields.text("value"),
        weight=fields.integer("weight", low=-(1 << 63)),
        partitionable=bool(fields.integer("part", 0, high=1)),
    )
