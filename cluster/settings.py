"""How the cluster works: times in seconds, sizes in entries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Defaults are the node's own; node.config holds what a user writes."""

    replication_min: int = -1  # for pins that leave it at 0; -1 = every member
    replication_max: int = -1
    allocate_by: tuple[str, ...] = ("tag:group", "freespace")
    tags: tuple[tuple[str, str], ...] = (("group", "default"),)
    concurrent_pins: int = 10
    pin_timeout: float = 120.0  # without progress before an attempt fails
    queue_size: int = 50_000  # operations in memory for each lane; the rest is found by reconciling
    priority_age: float = 86_400.0  # how long a pin counts as fresh
    retry_first: float = 10.0  # until the first retry; doubled by each failure
    retry_most: float = 3600.0
    reconcile_interval: float = 300.0
    metric_interval: float = 15.0
    expiry_interval: float = 60.0
    repin_grace: float = 300.0
    repin_rate: float = 50.0  # pins placed anew each second at most
    top_up_interval: float = 3600.0  # between two looks for pins that could have more holders
    call_timeout: float = 15.0
