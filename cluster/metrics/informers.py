"""Informers, as ipfs-cluster calls them: what this node reads of itself to publish as metrics."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache

from cluster.common.names import as_name
from cluster.metrics.metric_store import FREESPACE, PING, PINQUEUE, TAG
from cluster.ports import CapacityInformer

QUEUE_BUCKET = 100_000
"""Pins that a queue is longer before it counts as a worse one (ipfs-cluster's default)."""


@dataclass(frozen=True, slots=True)
class MetricReading:
    """A metric before it has a peer and a time."""

    name: str
    value: str
    weight: int = 0
    partitionable: bool = False


Informer = Callable[[], Awaitable[MetricReading]]
"""Reads one of this node's own metrics afresh (ipfs-cluster's informer)."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The value of a `ping`: the member's name and its node on the open network."""

    peer_name: str = ""
    ipfs_id: str = ""
    ipfs_addresses: tuple[str, ...] = ()
    provides: bool = False  # it tells the DHT what it has

    def text(self) -> str:
        """JSON with empty parts left out, as ipfs-cluster writes it."""
        parts = {
            "peer_name": self.peer_name,
            "ipfs_id": self.ipfs_id,
            "ipfs_addresses": self.ipfs_addresses,
            "provides": self.provides,
        }
        return json.dumps({key: part for key, part in parts.items() if part}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Ping:
        """What can be read of it; parts of another shape are left empty."""
        try:
            parts = json.loads(text)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(parts, dict):
            return cls()
        addresses = parts.get("ipfs_addresses")
        return cls(
            as_name(str(parts.get("peer_name", ""))),
            as_name(str(parts.get("ipfs_id", ""))),
            tuple(as_name(str(one)) for one in addresses) if isinstance(addresses, list) else (),
            parts.get("provides") is True,
        )


@lru_cache(maxsize=1024)
def read_ping(text: str) -> Ping:
    """`Ping.parse`, of values that stay the same for long: listings ask for them all the time."""
    return Ping.parse(text)


def free_space(capacity_of: CapacityInformer) -> Informer:
    """Bytes that still fit here: what the disk has, or what the quota leaves."""

    async def read() -> MetricReading:
        capacity = await capacity_of()
        free = min(capacity.free, capacity.quota - capacity.used) if capacity.quota else capacity.free
        return MetricReading(FREESPACE, str(max(0, free)), max(0, free))

    return read


def pin_queue(waiting: Callable[[], int]) -> Informer:
    """Pins that wait to be fetched here; members whose queues are about as long weigh the same."""

    async def read() -> MetricReading:
        queued = waiting()
        return MetricReading(PINQUEUE, str(queued), -(queued // QUEUE_BUCKET))

    return read


def tag(key: str, value: str) -> Informer:
    """What an operator says of this node, such as where it stands."""

    async def read() -> MetricReading:
        return MetricReading(TAG + key, value, partitionable=True)

    return read


def ping(about: Callable[[], Ping]) -> Informer:
    """That this node is there, and its name."""

    async def read() -> MetricReading:
        return MetricReading(PING, about().text())

    return read
