"""Metrics: the latest of each member, believed only when signed and fresh, and an alert when one stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory_cluster import CLUSTER_ID
from support.memory_members import MemoryMembers
from support.memory_network import MemoryNetwork
from support.memory_pinset import PinsetView, SharedPins
from support.peer_keys import Key

from blockstore.common.guard import Guard
from cluster.context import ClusterContext
from cluster.interfaces import Member, Role
from cluster.metrics.informers import Informer, MetricReading, Ping, free_space, pin_queue, ping, tag
from cluster.metrics.metric_gossip import TOPIC, MetricGossip
from cluster.metrics.metric_store import FREESPACE, MAX_METRICS, PING, PINQUEUE, Metric, MetricStore
from cluster.ports import Capacity, GossipMessage
from cluster.settings import ClusterSettings

A, B, STRANGER = Key(1), Key(2), Key(3)


class Here:
    """One receiving member with a clock of its own."""

    def __init__(self) -> None:
        self.now = 100_000.0
        self.members = MemoryMembers(
            [Member(A.peer_id, "a", Role.TRUSTED), Member(B.peer_id, "b", Role.FOLLOWER)]
        )
        self.network = MemoryNetwork()
        self.guard = Guard()
        self.store = MetricStore(self.members, lambda: self.now)
        self.gossip = self.speaker(A, self.store, lambda: self.now)

    def speaker(
        self,
        key: Key,
        store: MetricStore,
        now: Callable[[], float],
        *informers: Informer,
        cluster_id: bytes = CLUSTER_ID,
    ) -> MetricGossip:
        port = self.network.port(key.peer_id)
        self.network.set_up(key.peer_id, True)
        view = PinsetView(SharedPins())
        settings = ClusterSettings(metric_interval=15)
        members, guard = self.members, self.guard
        context = ClusterContext(key.peer_id, "", cluster_id, view, members, port, settings, now, guard)
        return MetricGossip(context, port, key, store, informers)

    async def hears(self, speaker: MetricGossip) -> None:
        await speaker.publish()
        await self.network.heard()

    async def hears_of(self, author: Key, message: bytes) -> None:
        await self.network.ports[author.peer_id].publish(TOPIC, message)
        await self.network.heard()

    def names(self) -> list[tuple[str, str]]:
        return [(metric.name, metric.value) for metric in self.store.valid() if metric.peer != A.peer_id]


async def capacity() -> Capacity:
    return Capacity(free=5000, used=700, quota=1000)


def other(here: Here, key: Key = B, offset: float = 0.0, *informers: Informer) -> MetricGossip:
    found = informers or (ping(lambda: Ping("b", "QmB", ("/ip4/1.2.3.4/tcp/1",))), tag("group", "x"))

    def now() -> float:
        return here.now + offset

    return here.speaker(key, MetricStore(here.members, now), now, *found)


async def test_what_a_member_publishes_is_known_to_the_others() -> None:
    here = Here()
    await here.hears(other(here, B, 0, free_space(capacity), tag("group", "x")))
    assert here.names() == [(FREESPACE, "300"), ("tag:group", "x")]
    (metric,) = here.store.valid("tag:group")
    assert metric == Metric("tag:group", B.peer_id, "x", 0, 100_030.0, 100_000.0, partitionable=True)


async def test_free_space_is_what_the_quota_leaves() -> None:
    assert await free_space(capacity)() == MetricReading(FREESPACE, "300", 300)


@pytest.mark.parametrize(("waiting", "weight"), [(0, 0), (99_999, 0), (100_000, -1), (250_000, -2)])
async def test_a_longer_queue_weighs_less_by_the_hundred_thousand(waiting: int, weight: int) -> None:
    assert await pin_queue(lambda: waiting)() == MetricReading(PINQUEUE, str(waiting), weight)


async def test_a_metric_runs_out_after_twice_the_interval() -> None:
    here = Here()
    await here.hears(other(here))
    here.now += 29
    assert here.names()
    here.now += 1
    assert here.names() == []


async def test_a_stranger_is_not_heard() -> None:
    here = Here()
    await here.hears(other(here, STRANGER))
    assert (here.names(), here.guard.failures) == ([], 0)


async def test_what_was_signed_for_another_cluster_is_not_believed() -> None:
    here = Here()
    store = MetricStore(here.members, lambda: here.now)
    await here.hears(here.speaker(B, store, lambda: here.now, tag("group", "x"), cluster_id=b"o" * 32))
    assert (here.names(), here.guard.failures) == ([], 0)


async def test_a_member_that_was_removed_is_forgotten() -> None:
    here = Here()
    await here.hears(other(here))
    await here.members.remove(B.peer_id)
    assert here.names() == []


async def overheard(here: Here) -> bytes:
    """What the other member publishes, byte for byte."""
    heard: list[bytes] = []

    async def listen(message: GossipMessage) -> None:
        heard.append(message.data)

    here.network.port("listener").subscribe(TOPIC, listen)
    here.network.set_up("listener", True)
    await here.hears(other(here))
    return heard[0]


async def test_a_changed_byte_is_not_believed() -> None:
    here = Here()
    message = await overheard(here)
    here.now += 100
    for position in range(len(message)):
        broken = bytearray(message)
        broken[position] ^= 1
        await here.hears_of(B, bytes(broken))
    assert (here.names(), here.guard.failures) == ([], 0)


async def test_a_repeated_message_does_not_keep_a_member_alive() -> None:
    here = Here()
    message = await overheard(here)
    here.now += 31
    await here.hears_of(B, message)
    assert here.names() == []


@pytest.mark.parametrize("offset", [-86_400.0, 86_400.0])
async def test_a_clock_that_is_a_day_off_makes_nobody_dead_or_immortal(offset: float) -> None:
    here = Here()
    await here.hears(other(here, B, offset))
    assert here.names()
    assert here.gossip.clock_ahead() == pytest.approx(-offset, abs=0.01)
    here.now += 30
    assert here.names() == []


async def test_a_clock_that_was_set_back_is_followed() -> None:
    here = Here()
    await here.hears(other(here, B, 86_400.0))
    here.now += 1
    await here.hears(other(here, B, 0.0, tag("group", "later")))
    assert ("tag:group", "later") in here.names()


@given(st.binary(max_size=200))
def test_any_bytes_are_dropped(message: bytes) -> None:
    here = Here()
    here.network.port(B.peer_id)
    here.network.set_up(B.peer_id, True)
    asyncio.run(here.hears_of(B, message))
    assert (here.names(), here.guard.failures) == ([], 0)


def test_a_member_cannot_fill_the_store() -> None:
    here = Here()
    here.store.put(Metric(f"n{i}", B.peer_id, "", 0, 2000, 1000) for i in range(10 * MAX_METRICS))
    assert len(here.store.names()) == MAX_METRICS


def test_one_alert_for_each_time_a_metric_stops() -> None:
    here = Here()

    def check(at: float) -> list[Metric]:
        here.now = at
        return [alert.metric for alert in here.store.check()]

    first = Metric(PING, B.peer_id, "{}", 0, 1030, 1000)
    here.store.put([first])
    assert check(1029) == []
    assert check(1030) == [first]
    assert check(1031) == []
    again = Metric(PING, B.peer_id, "{}", 0, 1060, 1032)
    here.store.put([again])
    assert check(1040) == []
    assert check(1061) == [again]
    assert [alert.metric for alert in here.store.alerts()] == [again, first]


@given(st.text(max_size=40) | st.just('{"ipfs_addresses": {"a": 1}}') | st.just("[" * 100_000))
def test_the_value_of_a_ping_reads_as_far_as_it_can_be_read(text: str) -> None:
    assert isinstance(Ping.parse(text), Ping)


def test_the_value_of_a_ping_is_what_ipfs_cluster_writes() -> None:
    value = Ping("a", "QmA", ("/ip4/1.2.3.4/tcp/4001",))
    assert value.text() == '{"peer_name":"a","ipfs_id":"QmA","ipfs_addresses":["/ip4/1.2.3.4/tcp/4001"]}'
    assert Ping.parse(value.text()) == value
    assert Ping().text() == "{}"
