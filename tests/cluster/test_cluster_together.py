"""Several members over one pinset: pins reach them, statuses are merged, a lost member is made up for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, settled_as, until, wall_clock
from support.peer_keys import Key

from blockstore.cid import CID
from cluster.allocation.repin import AbsenceDetector
from cluster.errors import (
    BadAddress,
    BadPinOptions,
    CannotRemove,
    NotEnoughPeers,
    NotPinned,
    ReadOnlyMember,
    UnknownMember,
    UntrustedPeer,
)
from cluster.interfaces import PinQuery
from cluster.metrics.informers import Ping
from cluster.metrics.metric_store import FREESPACE, PING
from cluster.pin import GlobalPinInfo, Pin, PinMode, PinOptions, Status
from cluster.ports import LocalPin, PeerOffline
from cluster.settings import ClusterSettings

TWO = PinOptions(replication_min=2, replication_max=2)


async def all_of(stream: AsyncIterator[GlobalPinInfo]) -> list[GlobalPinInfo]:
    return [info async for info in stream]


def shown(info: GlobalPinInfo) -> dict[str, Status]:
    return {peer: one.status for peer, one in info.peers.items()}


def seed(
    world: MemoryCluster, number: int, allocations: Sequence[str], *, low: int = 2, high: int = 2
) -> None:
    options = PinOptions(replication_min=low, replication_max=high)
    world.shared.pins[cid(number)] = Pin(cid(number), options, tuple(allocations), EPOCH - 10**6)


def keep(world: MemoryCluster, machine: int, numbers: Sequence[int]) -> None:
    for number in numbers:
        world.machines[machine].pins.roots[cid(number)] = LocalPin(cid(number), True, 10, 10_000)


@virtual_time
async def test_a_pin_for_everywhere_is_pinned_on_three():
    world = MemoryCluster(3)
    async with world.all() as clusters:
        pin = await clusters[0].pin(cid(1), PinOptions(name="photos"))
        assert (pin.allocations, pin.everywhere, pin.options.name) == ((), True, "photos")
        await settled_as(clusters[1], cid(1), Status.PINNED, world.peers, 30)
        assert await clusters[2].get_pin(cid(1)) == pin


@virtual_time
async def test_a_pin_with_a_factor_is_remote_elsewhere_and_nobody_is_asked_needlessly():
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
async def test_the_adding_member_holds_what_it_has():
    world = MemoryCluster(3)
    async with world.all() as clusters:
        await asyncio.sleep(2)
        one = PinOptions(replication_min=1, replication_max=1)
        assert (await clusters[2].pin(cid(1), one, priority_peers=[world.peers[2]])).allocations == (
            world.peers[2],
        )


@virtual_time
async def test_unpinning_forgets_everywhere_and_answers_with_the_pin():
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
async def test_a_cid_that_nobody_pinned_is_unpinned_at_every_member():
    world = MemoryCluster(3)
    async with world.all() as clusters:
        info = await clusters[0].statuses.one(cid(9))
        assert info.pin is None
        assert shown(info) == dict.fromkeys(world.peers, Status.UNPINNED)
        assert list(shown(await clusters[0].statuses.one(cid(9), local=True))) == [world.peers[0]]


@virtual_time
async def test_a_member_that_is_down_is_shown_with_the_reason():
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await first.pin(cid(1), PinOptions())
        await settled_as(first, cid(1), Status.PINNED, world.peers[:2])
        down = (await first.statuses.one(cid(1))).peers[world.peers[2]]
        assert (down.status, down.peer_name) == (Status.CLUSTER_ERROR, "m2")
        assert "cannot be reached" in down.error


@virtual_time
async def test_statuses_of_three_members_are_merged_in_order_over_many_pages():
    world = MemoryCluster(3)
    peers = world.peers
    for number in range(2500):
        seed(world, number, [peers[number % 3], peers[(number + 1) % 3]])
        keep(world, number % 3, [number])
        keep(world, (number + 1) % 3, [number])
    async with world.all() as clusters:
        infos = await all_of(clusters[0].statuses.all())
        assert [info.cid for info in infos] == [cid(number) for number in range(2500)]
        for number in (0, 1000, 2499):
            holders = {peers[number % 3], peers[(number + 1) % 3]}
            expected = {peer: Status.PINNED if peer in holders else Status.REMOTE for peer in peers}
            assert shown(infos[number]) == expected
            assert infos[number].pin == world.shared.pins[cid(number)]
        only = await all_of(clusters[0].statuses.all(frozenset({Status.PINNED})))
        assert all(set(shown(info).values()) == {Status.PINNED} for info in only)
        local = await all_of(clusters[0].statuses.all(frozenset({Status.PINNED}), local=True))
        assert {peer for info in local for peer in info.peers} == {peers[0]}


@virtual_time
async def test_a_listing_shows_who_is_down_on_what_it_is_to_hold():
    world = MemoryCluster(3)
    peers = world.peers
    for number in range(6):
        seed(world, number, [peers[number % 3], peers[(number + 1) % 3]])
        for machine in range(3):
            keep(
                world,
                machine,
                [number] if peers[machine] in world.shared.pins[cid(number)].allocations else [],
            )
    async with world.member(0) as first, world.member(1):
        infos = {info.cid: shown(info) for info in await all_of(first.statuses.all())}
        assert infos[cid(0)] == {peers[0]: Status.PINNED, peers[1]: Status.PINNED}
        assert infos[cid(1)][peers[2]] is Status.CLUSTER_ERROR
        errors = await all_of(first.statuses.all(frozenset({Status.CLUSTER_ERROR})))
        assert [info.cid for info in errors] == [cid(1), cid(2), cid(4), cid(5)]
        assert {shown(info)[peers[2]] for info in errors} == {Status.CLUSTER_ERROR}


@virtual_time
async def test_asking_for_some_cids_answers_each_in_order():
    world = MemoryCluster(2)
    async with world.all() as clusters:
        await clusters[0].pin(cid(3), PinOptions())
        await settled_as(clusters[0], cid(3), Status.PINNED, world.peers)
        infos = await all_of(clusters[0].statuses.of([cid(3), cid(1)]))
        assert [(info.cid, set(shown(info).values())) for info in infos] == [
            (cid(3), {Status.PINNED}),
            (cid(1), {Status.UNPINNED}),
        ]


@virtual_time
async def test_recover_reaches_the_members_that_failed():
    world = MemoryCluster(3)
    world.missing.update([cid(1), cid(2)])
    async with world.all() as clusters:
        await clusters[0].pin(cid(1), PinOptions())
        await clusters[0].pin(cid(2), PinOptions())
        await settled_as(clusters[0], cid(2), Status.PIN_ERROR, world.peers)
        world.missing.clear()
        await clusters[1].statuses.recover(cid(1))
        await settled_as(clusters[0], cid(1), Status.PINNED, world.peers, 15)
        world.missing.add(cid(3))
        await clusters[0].pin(cid(3), PinOptions())
        await settled_as(clusters[0], cid(3), Status.PIN_ERROR, world.peers, 30)
        infos = await all_of(clusters[1].statuses.recover_all())
        assert {info.cid for info in infos} >= {cid(3)}
        assert len(infos[-1].peers) == 3


@virtual_time
async def test_a_lost_member_is_replaced_after_the_grace_period_and_not_before():
    world = MemoryCluster(4)
    async with AsyncExitStack() as living, AsyncExitStack() as doomed:
        clusters = [await living.enter_async_context(world.member(n)) for n in (0, 1, 2)]
        await doomed.enter_async_context(world.member(3))
        await asyncio.sleep(2)
        lost, kept = world.peers[3], world.peers[0]
        pin = await clusters[0].pin(cid(1), replace(TWO, user_allocations=(lost, kept)))
        spare = await clusters[0].pin(
            cid(2), PinOptions(replication_min=1, replication_max=2, user_allocations=(lost, kept))
        )
        assert set(pin.allocations) == set(spare.allocations) == {lost, kept}
        await settled_as(clusters[0], cid(1), Status.PINNED, [lost, kept])
        await doomed.aclose()
        await asyncio.sleep(290)
        assert (await clusters[0].get_pin(cid(1))).allocations == pin.allocations
        writes = world.shared.writes
        await asyncio.sleep(90)
        moved = await clusters[0].get_pin(cid(1))
        assert kept in moved.allocations
        assert lost not in moved.allocations
        assert len(moved.allocations) == 2
        assert await clusters[0].get_pin(cid(2)) == spare  # not below its minimum
        assert world.shared.writes == writes + 1  # one member did it, once
        await settled_as(clusters[1], cid(1), Status.PINNED, moved.allocations, 60)
        assert [alert.metric.peer for alert in clusters[0].metrics.alerts() if alert.metric.name == PING] == [
            lost
        ]
        async with world.member(3):  # comes back: it lets go of what is held elsewhere
            await until(lambda: forgotten(world, 3, cid(1)), 400)
            assert cid(2) in world.machines[3].pins.roots


async def forgotten(world: MemoryCluster, machine: int, wanted: CID) -> bool:
    return wanted not in world.machines[machine].pins.roots


@virtual_time
async def test_a_member_that_was_removed_is_replaced_at_once():
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(20)
        seed(world, 1, [world.peers[1], world.peers[2]])
        await world.members.remove(world.peers[2])

        async def moved() -> bool:
            return set((await first.get_pin(cid(1))).allocations) == set(world.peers[:2])

        await until(moved, 40)


@virtual_time
async def test_a_member_that_is_cut_off_moves_nothing():
    world = MemoryCluster(4)
    for number in range(5):
        seed(world, number, world.peers[1:3], low=1, high=1)
    async with world.member(0):
        await asyncio.sleep(3600)
        assert world.shared.writes == 0


@virtual_time
async def test_relocation_keeps_to_its_rate():
    world = MemoryCluster(3, settings=ClusterSettings(repin_rate=2.0))
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(2)
        for number in range(100):
            seed(world, number, [world.peers[2]], low=1, high=1)
        start = wall_clock()

        async def moved() -> bool:
            return await first.pinset.count(PinQuery(held_by=world.peers[2])) == 0

        await until(moved, 1000)
        assert wall_clock() - start - 300 >= 100 / 2 / 2  # two members share the work


@virtual_time
async def test_a_moved_pin_is_kept_until_its_new_holder_has_it():
    world = MemoryCluster(2)
    world.stuck.add(cid(1))
    one = PinOptions(replication_min=1, replication_max=1)
    seed(world, 1, [world.peers[0]], low=1, high=1)
    keep(world, 0, [1])
    async with world.all() as clusters:
        await asyncio.sleep(2)
        await clusters[0].pin(cid(1), replace(one, user_allocations=(world.peers[1],)))
        await asyncio.sleep(200)
        assert cid(1) in world.machines[0].pins.roots
        assert shown(await clusters[0].statuses.one(cid(1)))[world.peers[0]] is Status.REMOTE
        assert world.peers[0] in world.machines[1].pins.hints[cid(1)]
        world.stuck.clear()
        await settled_as(clusters[0], cid(1), Status.PINNED, [world.peers[1]], 4000)
        await until(lambda: forgotten(world, 0, cid(1)), 4000)


@virtual_time
async def test_origins_and_the_members_that_hold_it_are_asked_first():
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(2):
        await asyncio.sleep(2)
        origin = "/ip4/127.0.0.1/tcp/4001/p2p/QmOrigin"
        await first.pin(cid(1), PinOptions(origins=(origin,)))
        await settled_as(first, cid(1), Status.PINNED, [world.peers[0], world.peers[2]])
        assert list(world.machines[0].pins.hints[cid(1)]) == [origin, world.peers[2], world.peers[1]]


@virtual_time
async def test_an_expired_pin_is_removed_once_by_one_member():
    world = MemoryCluster(3)
    async with world.all() as clusters:
        await clusters[0].pin(cid(1), PinOptions(expire_at=wall_clock() + 100))
        await clusters[0].pin(cid(2), PinOptions(expire_at=wall_clock() + 10**6))
        await clusters[0].pin(cid(3), PinOptions())
        await asyncio.sleep(90)
        assert await clusters[1].get_pin(cid(1))
        writes = world.shared.writes
        await asyncio.sleep(100)
        assert [pin.cid async for pin in clusters[1].pinset.pins()] == [cid(2), cid(3)]
        assert world.shared.writes == writes + 1


@virtual_time
async def test_a_clock_far_ahead_lets_no_pin_expire():
    world = MemoryCluster(1 + 2)
    world.machines[0].clock_offset = 86_400.0
    async with world.member(0) as ahead, world.member(1), world.member(2):
        await asyncio.sleep(2)
        for number in range(20):
            seed(world, number, world.peers)
            pin = world.shared.pins[cid(number)]
            expiring = replace(pin.options, expire_at=EPOCH + 3600)
            world.shared.pins[cid(number)] = replace(pin, options=expiring)
        await asyncio.sleep(1800)
        assert await ahead.pinset.count() == 20
        await asyncio.sleep(2000)
        assert await ahead.pinset.count() < 20


@virtual_time
async def test_a_follower_holds_and_does_not_write():
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
def test_contradictions_are_refused_and_leave_the_pin_as_it_was(options: PinOptions, reason: str):
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
async def test_too_few_members_is_an_error_with_the_reason():
    world = MemoryCluster(2)
    world.machines[1].free = 10
    async with world.all() as clusters:
        await asyncio.sleep(2)
        with pytest.raises(NotEnoughPeers, match="1 without room for 50 bytes"):
            await clusters[0].pin(cid(1), TWO, size=50)
        assert await clusters[0].pinset.count() == 0


@virtual_time
async def test_pinning_the_same_again_writes_nothing_and_tries_again():
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
async def test_an_update_takes_over_options_and_places_of_the_old_pin():
    world = MemoryCluster(3)
    async with world.all() as clusters:
        await asyncio.sleep(2)
        old = await clusters[0].pin(cid(1), replace(TWO, name="v1", metadata={"k": "v"}))
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
async def test_members_describe_themselves_and_the_unreachable_one_has_an_error():
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(2)
        nodes = {node.id: node async for node in first.peers.all()}
        assert set(nodes) == set(world.peers)
        assert nodes[world.peers[1]].peer_name == "m1"
        assert nodes[world.peers[1]].version == "1.1.6+test"
        assert nodes[world.peers[1]].ipfs.id == "Qmm1"
        assert nodes[world.peers[1]].cluster_peers == tuple(world.peers)
        assert "cannot be reached" in nodes[world.peers[2]].error
        assert nodes[world.peers[2]].peer_name == "m2"
        graph = await first.peers.graph()
        assert graph.peer == world.peers[0]
        assert graph.cluster_links == {world.peers[0]: (world.peers[1],), world.peers[1]: (world.peers[0],)}
        assert graph.ipfs_ids == {world.peers[0]: "Qmm0", world.peers[1]: "Qmm1"}


@virtual_time
async def test_metrics_of_live_members_are_shown():
    world = MemoryCluster(2)
    async with world.all() as clusters:
        await asyncio.sleep(2)
        assert clusters[0].metrics.names() == [FREESPACE, PING, "tag:group"]
        assert [metric.peer for metric in clusters[0].metrics.valid(PING)] == world.peers
        assert clusters[0].metrics.valid("unknown") == []
        latest = clusters[0].metrics.latest(world.peers[1], PING)
        assert latest is not None
        assert Ping.parse(latest.value).ipfs_id == "Qmm1"


def test_silence_counts_from_when_it_was_noticed_and_ends_with_a_sign_of_life():
    absence = AbsenceDetector(grace=100)
    assert absence.observe(["a", "b"], ["a"], 0) == frozenset()
    assert absence.observe(["a", "b"], ["a"], 99) == frozenset()
    assert absence.observe(["a", "b"], ["a"], 100) == {"b"}
    assert absence.observe(["a", "b"], ["a", "b"], 101) == frozenset()
    assert absence.observe(["a", "b"], ["a"], 150) == frozenset()
    assert absence.observe(["a"], ["a"], 900) == frozenset(), "who was removed is listed by the members"


@virtual_time
async def test_a_bug_met_at_one_pin_keeps_no_other_from_expiring():
    world = MemoryCluster(1)
    async with world.member(0) as cluster:
        for number in (1, 2, 3):
            await cluster.pin(cid(number), PinOptions(expire_at=wall_clock() + 100))
        world.shared.odd.add(cid(2))
        await asyncio.sleep(600)
        assert [pin.cid async for pin in cluster.pinset.pins()] == [cid(2)]
        assert 5 < world.guard.failures < 12, "once a pass"
        world.shared.odd.clear()
        await asyncio.sleep(100)
        assert await cluster.pinset.count() == 0


@virtual_time
async def test_a_bug_met_at_one_pin_keeps_no_other_from_being_placed_anew():
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(20)
        for number in (1, 2, 3):
            seed(world, number, [world.peers[1], world.peers[2]])
        world.shared.odd.add(cid(2))
        await world.members.remove(world.peers[2])
        await asyncio.sleep(100)
        moved = [set((await first.get_pin(cid(number))).allocations) for number in (1, 2, 3)]
        assert moved == [set(world.peers[:2]), {world.peers[1], world.peers[2]}, set(world.peers[:2])]
        assert world.guard.failures


@virtual_time
async def test_the_pins_of_a_member_that_was_removed_while_nobody_ran_are_placed_anew():
    world = MemoryCluster(3)
    seed(world, 1, [world.peers[1], world.peers[2]])
    await world.members.remove(world.peers[2])
    async with world.member(0) as first, world.member(1):

        async def moved() -> bool:
            return set((await first.get_pin(cid(1))).allocations) == set(world.peers[:2])

        # The first look may come before the other member's metrics; the next one comes then.
        await until(moved, world.settings.reconcile_interval + 60)


@virtual_time
async def test_a_removed_member_is_in_no_status_metric_or_alert():
    world = MemoryCluster(3)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(world.member(0))
        await stack.enter_async_context(world.member(1))
        async with world.member(2):
            await asyncio.sleep(20)
        seed(world, 1, world.peers, low=3, high=3)
        await asyncio.sleep(60)
        assert world.peers[2] in {alert.metric.peer for alert in first.metrics.alerts()}
        await world.members.remove(world.peers[2])
        assert world.peers[2] not in {alert.metric.peer for alert in first.metrics.alerts()}
        assert world.peers[2] not in {metric.peer for metric in first.metrics.valid(PING)}
        assert set((await first.statuses.one(cid(1))).peers) == set(world.peers[:2])
        assert [set(info.peers) async for info in first.statuses.all()] == [set(world.peers[:2])]
        assert {node.id async for node in first.peers.all()} == set(world.peers[:2])


@virtual_time
async def test_members_are_connected_by_address_and_removed_by_name():
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        address = f"/ip4/127.0.0.1/tcp/9096/p2p/{world.peers[1]}"
        assert (await first.peers.connect(address)).name == "m1"
        for odd in ("", "hello", "/ip4/127.0.0.1/tcp/9096", f"/dns4/☃/tcp/1/p2p/{world.peers[1]}"):
            with pytest.raises(BadAddress):
                await first.peers.connect(odd)
        with pytest.raises(BadAddress, match="another member"):
            await first.peers.connect(address.replace(world.peers[1], world.peers[0]))
        with pytest.raises(UntrustedPeer, match="not a member"):
            await first.peers.connect(address.replace(world.peers[1], Key(77).peer_id))
        with pytest.raises(PeerOffline):
            await first.peers.connect(address.replace(world.peers[1], world.peers[2]))
        with pytest.raises(UnknownMember, match="pinfold peers"):
            await first.peers.remove("nobody")
        with pytest.raises(CannotRemove, match="this node itself"):
            await first.peers.remove("m0")
        assert (await first.peers.remove("m2")).peer == world.peers[2]
        with pytest.raises(UnknownMember):
            await first.peers.remove("m2")
