"""A failure detector by heartbeats: the latest metric of each member and name, an alert when one stops.

Times are this node's own clock: a metric travels with its time to live, not with a date, so that a member
whose clock is a day off is neither immortal nor dead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cluster.interfaces import Membership

PING = "ping"
FREESPACE = "freespace"
PINQUEUE = "pinqueue"
TAG = "tag:"

MAX_METRICS = 64
"""Names kept of one member."""

MAX_ALERTS = 1000


@dataclass(frozen=True, slots=True)
class Metric:
    """One reading (ipfs-cluster's metric). Times in seconds since 1970; a larger weight is better."""

    name: str
    peer: str
    value: str
    weight: int
    expire: float
    received_at: float
    partitionable: bool = False  # equal values form a group (tags) rather than a ranking

    def valid(self, now: float) -> bool:
        return now < self.expire


@dataclass(frozen=True, slots=True)
class Alert:
    """A metric that ran out without a newer one."""

    metric: Metric
    triggered_at: float


class MetricStore:
    """The latest metric of each member and name; at most MAX_METRICS names of one member are kept.

    `on_seen` hears of each member whose `ping` comes where there was no valid one, `on_alerts` of what
    `check` finds. Neither may block.
    """

    def __init__(self, members: Membership, now: Callable[[], float]) -> None:
        """`now` is the wall clock in seconds since 1970."""
        self._members = members
        self._now = now
        self._latest: dict[str, dict[str, Metric]] = {}  # by peer, then name
        self._alerted: set[tuple[str, str]] = set()
        self.alerted = 0  # alerts since the start
        self.on_seen: list[Callable[[str], None]] = []
        self.on_alerts: list[Callable[[Sequence[Alert]], None]] = []
        self._alerts: deque[Alert] = deque(maxlen=MAX_ALERTS)

    def put(self, metrics: Iterable[Metric]) -> None:
        """Keep these in place of older ones; those of strangers, and names above the limit, are dropped."""
        members = self._members.peers()
        for metric in metrics:
            names = self._latest.setdefault(metric.peer, {}) if metric.peer in members else {}
            if metric.name in names or len(names) < MAX_METRICS:
                before, names[metric.name] = names.get(metric.name), metric
                self._alerted.discard((metric.peer, metric.name))
                if metric.name == PING and not (before and before.valid(self._now())):
                    self._tell_seen(metric.peer)
        self._forget(self._latest.keys() - members)

    def valid(self, name: str | None = None) -> list[Metric]:
        """Every metric of a member that has not run out, in order of name, then peer."""
        members, now = self._members.peers(), self._now()
        return sorted(
            (
                metric
                for peer, names in self._latest.items()
                if peer in members
                for metric in names.values()
                if metric.valid(now) and name in (None, metric.name)
            ),
            key=lambda metric: (metric.name, metric.peer),
        )

    def names(self) -> list[str]:
        members = self._members.peers()
        return sorted({name for peer, names in self._latest.items() if peer in members for name in names})

    def latest(self, peer: str, name: str) -> Metric | None:
        """The last one heard of a member, whether or not it has run out."""
        return self._latest.get(peer, {}).get(name) if self._members.is_member(peer) else None

    def live(self) -> frozenset[str]:
        """Members with a valid ping."""
        return frozenset(metric.peer for metric in self.valid(PING))

    def check(self) -> list[Alert]:
        """One alert for each metric that ran out since it was last renewed; each is reported once."""
        now = self._now()
        expired = [
            metric
            for peer in sorted(self._latest.keys() & self._members.peers())
            for name, metric in sorted(self._latest[peer].items())
            if not metric.valid(now) and (peer, name) not in self._alerted
        ]
        found = [Alert(metric, now) for metric in expired]
        self._alerted.update((metric.peer, metric.name) for metric in expired)
        self._alerts.extendleft(found)
        self.alerted += len(found)
        if found:
            for handler in self.on_alerts:
                handler(found)
        return found

    def alerts(self) -> list[Alert]:
        """Of today's members, newest first, the last MAX_ALERTS."""
        members = self._members.peers()
        return [alert for alert in self._alerts if alert.metric.peer in members]

    def _tell_seen(self, peer: str) -> None:
        for handler in self.on_seen:
            handler(peer)

    def _forget(self, peers: Iterable[str]) -> None:
        for peer in list(peers):
            del self._latest[peer]
            self._alerted = {key for key in self._alerted if key[0] != peer}
