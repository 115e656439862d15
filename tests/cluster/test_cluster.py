"""Several members together: a pin reaches those that are to hold it, and what is refused changes nothing."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, settled_as
from support.pinned_together import TWO

from cluster.errors import (
    BadPinOptions,
    NotEnoughPeers,
    NotPinned,
    ReadOnlyMember,
)
from cluster.metrics.informers import Ping
from cluster.metrics.metric_store import FREESPACE, PING, PINQUEUE
from cluster.pin import PinMode, PinOptions, Status


@virtual_time
async def test_a_pin_for_everywhere_is_pinned_on_three() -> None:
    world = MemoryCluster(3)
    async with world.all() as clusters:
        pin = await clusters[0].pin(cid(1), PinOptions(name="photos"))
        assert (pin.allocations, pin.everywhere, pin.options.name) == ((), True, "photos")
        await settled_as(clusters[1], cid(1), Status.PINNED, world.peers, 30)
        assert await clusters[2].get_pin(cid(1)) == pin


@virtual_time
async def test_a_pin_with_a_factor_is_remote_elsewhere_and_nobody_is_asked_needlessly() -> None:
    world = MemoryCluster(3)
    for machine, free in zip(world.machines, [100, 300, 200], strict=True):
        machine.free = free
    async with world.all() as clusters:
        await asyncio.sleep(2)
        pin = await clusters[0].pin(cid(1), TWO, size=50)
        assert pin.allocations == (world.peers[1], world.peers[2])
        await settled_as(clusters[0], cid(1), Status.PINNED, pin.allocations, 30)
        world.machines[1].port.called.clear()
        info = await clusters[1].statuses.one(cid(1))
        assert info.peers[world.peers[0]].status is Status.REMOTE
        assert world.machines[1].port.called == [(world.peers[2], "pins/status")]


@virtual_time
async def test_the_adding_member_holds_what_it_has() -> None:
    world = MemoryCluster(3)
    async with world.all() as clusters:
        await asyncio.sleep(2)
        one = PinOptions(replication_min=1, replication_max=1)
        assert (await clusters[2].pin(cid(1), one, priority_peers=[world.peers[2]])).allocations == (
            world.peers[2],
        )


@virtual_time
async def test_unpinning_forgets_everywhere_and_answers_with_the_pin() -> None:
    world = MemoryCluster(3)
    async with world.all() as clusters:
        pin = await clusters[0].pin(cid(1), PinOptions())
        await settled_as(clusters[0], cid(1), Status.PINNED, world.peers)
        assert await clusters[1].unpin(cid(1)) == pin
        await settled_as(clusters[0], cid(1), Status.UNPINNED, world.peers, 10)
        await asyncio.sleep(1)
        assert all(cid(1) not in machine.pins.roots for machine in world.machines)
        with pytest.raises(NotPinned, match=r"^pin is not part of the pinset$"):
            await clusters[2].unpin(cid(1))
        with pytest.raises(NotPinned):
            await clusters[2].get_pin(cid(1))


@virtual_time
async def test_origins_and_the_members_that_hold_it_are_asked_first() -> None:
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(2):
        await asyncio.sleep(2)
        origin = "/ip4/127.0.0.1/tcp/4001/p2p/QmOrigin"
        await first.pin(cid(1), PinOptions(origins=(origin,)))
        await settled_as(first, cid(1), Status.PINNED, [world.peers[0], world.peers[2]])
        assert list(world.machines[0].pins.hints[cid(1)]) == [origin, world.peers[2], world.peers[1]]


@virtual_time
async def test_a_follower_holds_and_does_not_write() -> None:
    world = MemoryCluster(3, followers=[2])
    async with world.all() as clusters:
        await clusters[0].pin(cid(1), PinOptions())
        await settled_as(clusters[2], cid(1), Status.PINNED, world.peers, 30)
        with pytest.raises(ReadOnlyMember, match="at a trusted member"):
            await clusters[2].pin(cid(2), PinOptions())
        with pytest.raises(ReadOnlyMember):
            await clusters[2].unpin(cid(1))
        info = await clusters[2].statuses.recover(cid(1))
        assert "for trusted members" in info.peers[world.peers[0]].error


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (PinOptions(expire_at=EPOCH - 1), "before current time"),
        (PinOptions(name="x" * 256), "256 bytes"),
        (PinOptions(replication_min=3, replication_max=2), "minimum <= maximum"),
        (PinOptions(replication_min=-1, replication_max=2), "-1"),
        (PinOptions(replication_min=-2, replication_max=-2), "minimum"),
        (PinOptions(mode=PinMode.DIRECT), "pinned recursively"),
    ],
)
def test_contradictions_are_refused_and_leave_the_pin_as_it_was(options: PinOptions, reason: str) -> None:
    @virtual_time
    async def scenario() -> None:
        world = MemoryCluster(1)
        async with world.member(0) as cluster:
            pin = await cluster.pin(cid(1), PinOptions(name="kept"))
            with pytest.raises(BadPinOptions, match=reason):
                await cluster.pin(cid(1), options)
            assert await cluster.get_pin(cid(1)) == pin

    scenario()


@virtual_time
async def test_too_few_members_is_an_error_with_the_reason() -> None:
    world = MemoryCluster(2)
    world.machines[1].free = 10
    async with world.all() as clusters:
        await asyncio.sleep(2)
        with pytest.raises(NotEnoughPeers, match="1 without room for 50 bytes"):
            await clusters[0].pin(cid(1), TWO, size=50)
        assert await clusters[0].pinset.count() == 0


@virtual_time
async def test_pinning_the_same_again_writes_nothing_and_tries_again() -> None:
    world = MemoryCluster(1)
    world.missing.add(cid(1))
    async with world.member(0) as cluster:
        first = await cluster.pin(cid(1), PinOptions(name="a"))
        await settled_as(cluster, cid(1), Status.PIN_ERROR, world.peers)
        await asyncio.sleep(600)
        world.missing.clear()
        writes = world.shared.writes
        assert await cluster.pin(cid(1), PinOptions(name="a")) == first
        await settled_as(cluster, cid(1), Status.PINNED, world.peers, 12)
        assert world.shared.writes == writes
        assert (await cluster.pin(cid(1), PinOptions(name="b"))).options.name == "b"


@virtual_time
async def test_an_update_takes_over_options_and_places_of_the_old_pin() -> None:
    world = MemoryCluster(3)
    async with world.all() as clusters:
        await asyncio.sleep(2)
        old = await clusters[0].pin(cid(1), TWO._replace(name="v1", metadata={"k": "v"}))
        new = await clusters[0].pin(cid(2), PinOptions(name="v2", pin_update=cid(1)))
        assert new.allocations == old.allocations
        assert (new.options.name, dict(new.options.metadata), new.options.pin_update) == (
            "v2",
            {"k": "v"},
            cid(1),
        )
        assert await clusters[0].get_pin(cid(1)) == old
        with pytest.raises(NotPinned):
            await clusters[0].pin(cid(3), PinOptions(pin_update=cid(7)))


@virtual_time
async def test_metrics_of_live_members_are_shown() -> None:
    world = MemoryCluster(2)
    async with world.all() as clusters:
        await asyncio.sleep(2)
        assert clusters[0].metrics.names() == [FREESPACE, PING, PINQUEUE, "tag:group"]
        assert [metric.peer for metric in clusters[0].metrics.valid(PING)] == world.peers
        assert clusters[0].metrics.valid("unknown") == []
        latest = clusters[0].metrics.latest(world.peers[1], PING)
        assert latest is not None
        assert Ping.parse(latest.value).ipfs_id == "Qmm1"
