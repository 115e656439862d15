"""Statuses of all members: merged in order, with those that do not answer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid, settled_as
from support.pinned_together import all_of, keep, seed, shown

from cluster.metrics.metric_store import PING
from cluster.pin import GlobalPinInfo, PinOptions, Status


@virtual_time
async def test_a_cid_that_nobody_pinned_is_unpinned_at_every_member() -> None:
    world = MemoryCluster(3)
    async with world.all() as clusters:
        info = await clusters[0].statuses.one(cid(9))
        assert info.pin is None
        assert shown(info) == dict.fromkeys(world.peers, Status.UNPINNED)
        assert list(shown(await clusters[0].statuses.one(cid(9), local=True))) == [world.peers[0]]


@virtual_time
async def test_a_member_that_is_down_is_shown_with_the_reason() -> None:
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await first.pin(cid(1), PinOptions())
        await settled_as(first, cid(1), Status.PINNED, world.peers[:2])
        down = (await first.statuses.one(cid(1))).peers[world.peers[2]]
        assert (down.status, down.peer_name) == (Status.CLUSTER_ERROR, "m2")
        assert "cannot be reached" in down.error


@virtual_time
async def test_statuses_of_three_members_are_merged_in_order_over_many_pages() -> None:
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
async def test_a_listing_shows_who_is_down_on_what_it_is_to_hold() -> None:
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
async def test_asking_for_some_cids_answers_each_in_order() -> None:
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
async def test_many_cids_are_asked_about_together_and_each_says_what_it_would_alone() -> None:
    world = MemoryCluster(3)
    world.missing.add(cid(7))
    for number in range(450):
        seed(world, number, [world.peers[number % 3], world.peers[(number + 1) % 3]])
        for machine in (number % 3, (number + 1) % 3):
            keep(world, machine, [number] if number != 7 else [])
    chosen = [*map(cid, range(449, 0, -1)), cid(2000), cid(7), cid(7)]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(world.member(0))
        await stack.enter_async_context(world.member(1))
        await asyncio.sleep(20)
        alone = [await first.statuses.one(one) for one in chosen]
        called = len(world.machines[0].port.called)
        together = await all_of(first.statuses.of(chosen))
        assert len(world.machines[0].port.called) - called == 4  # two groups, two members
        assert list(map(unhurried, together)) == list(map(unhurried, alone))
        world.machines[1].port.methods.forget("pins/status-of")
        assert list(map(unhurried, await all_of(first.statuses.of(chosen)))) == list(map(unhurried, alone))
        (here,) = await all_of(first.statuses.of([cid(7)], local=True))
        assert list(here.peers) == [world.peers[0]]


def unhurried(info: GlobalPinInfo) -> GlobalPinInfo:
    """Without the moment at which a member did not answer, or had nothing to say."""
    now = (Status.CLUSTER_ERROR, Status.UNPINNED)
    peers = {peer: replace(one, since=0.0) if one.status in now else one for peer, one in info.peers.items()}
    return replace(info, peers=peers)


@virtual_time
async def test_recover_reaches_the_members_that_failed() -> None:
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
async def test_a_removed_member_is_in_no_status_metric_or_alert() -> None:
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
