"""Where events come from: each source hears of changes in its own terms and publishes facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cluster.cluster import Cluster
from cluster.common.pin_codec import decode_pin
from cluster.errors import BadUpdate
from cluster.interfaces import Member, PinChange
from cluster.metrics.metric_store import PING, Alert
from cluster.replication.replicated_pinset import ReplicatedPinset
from cluster.tracking.status_feed import StatusChange
from node.events.event import EventKind, Facts
from node.events.feed import EventFeed


@dataclass(frozen=True, slots=True)
class ClusterEvents:
    """Publishes what happens in a cluster, as this member sees it."""

    feed: EventFeed
    cluster: Cluster
    peer: str

    def pins(self, changes: Sequence[PinChange]) -> None:
        self.feed.publish(EventKind.PIN, filter(None, map(self._pin, changes)))

    def statuses(self, changes: Sequence[StatusChange]) -> None:
        name = self.cluster.context.name
        self.feed.publish(EventKind.STATUS, (_status(one, self.peer, name) for one in changes))

    def seen(self, peer: str) -> None:
        self.member(peer, "seen")

    def alerts(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            if alert.metric.name == PING:
                self.member(alert.metric.peer, "lost")
        self.feed.publish(EventKind.ALERT, map(self._alert, alerts))

    def member(self, peer: str, change: str, role: str = "") -> None:
        """`change`: joined, left, trusted, follower, seen, lost."""
        known = self.cluster.members.role(peer)
        facts: Facts = {
            "change": change,
            "peer": peer,
            "name": self.cluster.members.name(peer),
            "role": role or (known.value if known else ""),
        }
        self.feed.publish(EventKind.MEMBER, [(peer, facts)])

    def _pin(self, change: PinChange) -> tuple[str, Facts] | None:
        """None where there is no pin, and was none."""
        if change.pin is None and change.before is None:
            return None
        pin, cid = change.pin, str(change.cid)
        kind = "removed" if pin is None else "added" if change.before is None else "changed"
        facts: Facts = {
            "change": kind,
            "cid": cid,
            "name": pin.options.name if pin is not None else _name(change.before),
            "author": change.author,
            "author_name": self.cluster.members.name(change.author) if change.author else "",
        }
        return cid, facts

    def _alert(self, alert: Alert) -> tuple[str, Facts]:
        metric = alert.metric
        facts: Facts = {
            "peer": metric.peer,
            "name": self.cluster.members.name(metric.peer),
            "metric": metric.name,
            "value": metric.value,
            "expired_at": metric.expire,
        }
        return metric.peer, facts


def _status(change: StatusChange, peer: str, name: str) -> tuple[str, Facts]:
    cid = str(change.cid)
    facts: Facts = {"cid": cid, "status": change.status.value, "peer": peer, "name": name}
    return cid, {**facts, "error": change.error} if change.error else facts


def _name(value: bytes | None) -> str:
    with suppress(BadUpdate):
        return decode_pin(value).options.name if value is not None else ""
    return ""  # a row that is damaged: that it is gone is told all the same


def followed(cluster: Cluster, pinset: ReplicatedPinset) -> EventFeed:
    """What happens there from now on."""
    feed = EventFeed()
    events = ClusterEvents(feed, cluster, cluster.context.peer)
    pinset.on_changes(events.pins)
    cluster.tracking.feed.subscribe(events.statuses)
    cluster.metrics.on_seen.append(events.seen)
    cluster.metrics.on_alerts.append(events.alerts)
    pinset.members.on_records(_following(pinset.members.members, events.member))
    return feed


def _following(
    members: Callable[[], Sequence[Member]], tell: Callable[[str, str, str], None]
) -> Callable[[Sequence[bytes]], None]:
    """A handler of new records that tells what they did to the list of members."""
    before = {member.peer: member for member in members()}

    def records(_envelopes: Sequence[bytes]) -> None:
        nonlocal before
        now = {member.peer: member for member in members()}
        for peer, change, role in _differences(before, now):
            tell(peer, change, role)
        before = now

    return records


def _differences(before: Mapping[str, Member], now: Mapping[str, Member]) -> Iterator[tuple[str, str, str]]:
    for peer, member in now.items():
        if peer not in before:
            yield peer, "joined", member.role.value
        elif member.role is not before[peer].role:
            yield peer, member.role.value, member.role.value
    for peer in before.keys() - now.keys():
        yield peer, "left", before[peer].role.value
