"""Holders for a pin, by the metrics of this moment: the allocator, given what is known now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from cluster.allocation.allocator import (
    AllocationFacts,
    Judgement,
    allocate,
    eligible,
    further,
    judge,
    why_not,
)
from cluster.context import ClusterContext
from cluster.errors import NotEnoughPeers
from cluster.metrics.metric_store import FREESPACE, PING, TAG, Metric, MetricStore
from cluster.pin import EVERYWHERE, Pin, PinOptions

_UNKNOWN_SIZE = 1024 * 1024  # bytes


def weight(pin: Pin) -> int:
    """Bytes that it counts for where members are compared; its size may be unknown."""
    return pin.size or _UNKNOWN_SIZE


class Situation:
    """Members and metrics of one moment; equal questions are worked out once."""

    def __init__(
        self,
        members: Sequence[str],
        metrics: Sequence[Metric],
        now: float,
        allocate_by: Sequence[str],
        drained: frozenset[str] = frozenset(),
    ) -> None:
        self._members = members
        self._metrics = metrics
        self._now = now
        self._allocate_by = allocate_by
        self._drained = drained
        self._placed: dict[object, tuple[str, ...]] = {}
        self._fitting: dict[int, frozenset[str]] = {}

    def place(
        self, options: PinOptions, *, current: Sequence[str] = (), priority: Sequence[str] = (), size: int = 0
    ) -> tuple[str, ...]:
        """Members for a pin of `size` bytes with these resolved options. Raises NotEnoughPeers."""
        if options.replication_max == EVERYWHERE:
            return ()
        factors = options.replication_min, options.replication_max
        question = factors, options.user_allocations, tuple(current), tuple(priority), size
        if question not in self._placed:
            self._placed[question] = allocate(self._facts(options, current, priority, size))
        return self._placed[question]

    def judge(
        self, options: PinOptions, *, current: Sequence[str] = (), priority: Sequence[str] = (), size: int = 0
    ) -> tuple[Judgement, ...]:
        """Of every member, why `place` takes it or does not."""
        return judge(self._facts(options, current, priority, size))

    def replacing(self, pin: Pin, away: Collection[str]) -> tuple[str, ...]:
        """Holders of a pin without those that are `away`, in whose place others come, up to its maximum.

        A member that is silent for a moment stays. Raises NotEnoughPeers.
        """
        staying = tuple(peer for peer in pin.allocations if peer not in away)[: pin.options.replication_max]
        coming = self._beside(pin.options, staying, pin.size)
        for peer in coming:
            if peer not in pin.allocations:
                self._promised(peer, weight(pin))
        return (*staying, *coming)

    def _beside(self, options: PinOptions, staying: Sequence[str], size: int) -> tuple[str, ...]:
        """Members that are to hold a pin beside those that stay, up to its maximum. Raises NotEnoughPeers."""
        facts = self._facts(options, staying, (), size)
        found, low, high = further(facts), options.replication_min, options.replication_max
        if len(staying) + len(found) < low:
            raise NotEnoughPeers(low, high, len(staying) + len(found), why_not(facts))
        return found

    def candidates(self, size: int) -> frozenset[str]:
        """Members that could take a pin of so many bytes."""
        if size not in self._fitting:
            self._fitting[size] = eligible(self._facts(PinOptions(), (), (), size))
        return self._fitting[size]

    def free(self) -> dict[str, int]:
        """Free bytes of each live member that is not being drained."""
        live = {one.peer for one in self._metrics if one.name == PING and one.peer in self._members}
        found = (one for one in self._metrics if one.name == FREESPACE)
        return {one.peer: one.weight for one in found if one.peer in live - self._drained}

    def spread(self, holders: Sequence[str]) -> int:
        """Over how many values of the tags that count these members are spread."""
        tags = [one for one in self._metrics if one.name.startswith(TAG) and one.name in self._allocate_by]
        return len({(one.name, one.value) for one in tags if one.peer in holders})

    def without(self, peer: str) -> Situation:
        """As if that member were drained."""
        return Situation(self._members, self._metrics, self._now, self._allocate_by, self._drained | {peer})

    def _promised(self, peer: str, size: int) -> None:
        """So much is on its way to that member, which its metrics do not say yet."""
        self._placed.clear()
        self._fitting.clear()
        self._metrics = [_less(metric, size) if metric.peer == peer else metric for metric in self._metrics]

    def _facts(
        self, options: PinOptions, current: Sequence[str], priority: Sequence[str], size: int
    ) -> AllocationFacts:
        return AllocationFacts(
            options=options,
            members=self._members,
            metrics=self._metrics,
            now=self._now,
            allocate_by=self._allocate_by,
            size=size,
            current=current,
            priority=priority,
            drained=self._drained,
        )


class Placement:
    """Every pin that this member writes is placed here, new or anew."""

    def __init__(self, context: ClusterContext, metrics: MetricStore) -> None:
        self._context = context
        self._metrics = metrics

    def situation(self) -> Situation:
        """What is known now."""
        members = sorted(self._context.members.peers())
        allocate_by = self._context.settings.allocate_by
        drained = self._context.members.drained()
        return Situation(members, self._metrics.valid(), self._context.now(), allocate_by, drained)


def _less(metric: Metric, size: int) -> Metric:
    if metric.name != FREESPACE:
        return metric
    return replace(metric, weight=max(0, metric.weight - size))
