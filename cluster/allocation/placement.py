"""Holders for a pin, by the metrics of this moment: the allocator, given what is known now."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.allocation.allocator import allocate
from cluster.context import ClusterContext
from cluster.metrics.metric_store import MetricStore
from cluster.pin import Pin, PinOptions


class Placement:
    """Every pin that this member writes is placed here, new or anew."""

    def __init__(self, context: ClusterContext, metrics: MetricStore) -> None:
        self._context = context
        self._metrics = metrics

    def place(
        self, options: PinOptions, *, current: Sequence[str] = (), priority: Sequence[str] = (), size: int = 0
    ) -> tuple[str, ...]:
        """Members for a pin of `size` bytes with these resolved options. Raises NotEnoughPeers."""
        return allocate(
            options,
            members=sorted(self._context.members.peers()),
            metrics=self._metrics.valid(),
            now=self._context.now(),
            allocate_by=self._context.settings.allocate_by,
            size=size,
            current=current,
            priority=priority,
        )

    def replace(self, pin: Pin) -> tuple[str, ...]:
        """Members for a pin some of whose holders are gone; live ones stay. Raises NotEnoughPeers."""
        return self.place(pin.options, current=pin.allocations, size=pin.size)
