"""The pinning service over a cluster: counted references, several owners, statuses of several members."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.inline_database import InlineDatabase
from support.memory_cluster import MemoryCluster, cid, wall_clock

from blockstore.cid import CID
from cluster.cluster import Cluster
from cluster.errors import NotEnoughPeers, NotPinned
from cluster.pin import PinOptions
from cluster.settings import ClusterSettings
from node.pinning.errors import UnknownRequest
from node.pinning.pin_request import RequestQuery, RequestStatus, ToldRequest, WantedPin
from node.pinning.request_store import SCHEMA, RequestStore
from node.pinning.service import PinningService

WORKING = (RequestStatus.QUEUED, RequestStatus.PINNING)
ADDRESS = "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGRUVh6mjvmnBzGgRcCZ2Ms4EKrnAmLRwpDoyd5QzMrQg"


def service(cluster: Cluster, database: InlineDatabase | None = None) -> PinningService:
    database = database or InlineDatabase(tables=SCHEMA)
    return PinningService(cluster, RequestStore(database), lambda: [ADDRESS], wall_clock)


async def is_pinned(cluster: Cluster, number: int) -> bool:
    return await cluster.pinset.get(cid(number)) is not None


async def settled(pinning: PinningService, owner: str, told: ToldRequest) -> ToldRequest:
    """How the request is when it waits and works no more."""
    while (now := await pinning.get(owner, told.request.id)).status in WORKING:  # noqa: ASYNC110 - as clients
        await asyncio.sleep(1)
    return now


async def listed(pinning: PinningService, owner: str, *statuses: RequestStatus) -> list[CID]:
    found = await pinning.list(RequestQuery(owner, statuses=frozenset(statuses or RequestStatus)))
    assert found.count == len(found.told)
    return [one.request.wanted.cid for one in found.told]


@virtual_time
async def test_a_pin_goes_with_the_last_request_of_its_owner() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        pinning = service(cluster)
        one, two = [await pinning.add("alice", WantedPin(cid(1), name)) for name in ("a", "b")]
        assert one.request.id != two.request.id
        await pinning.remove("alice", one.request.id)
        assert await is_pinned(cluster, 1)
        await pinning.remove("alice", two.request.id)
        assert not await is_pinned(cluster, 1)
        with pytest.raises(UnknownRequest):
            await pinning.remove("alice", two.request.id)


@virtual_time
async def test_each_owner_sees_and_removes_its_own_requests_alone() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        pinning = service(cluster)
        hers, his = [await pinning.add(owner, WantedPin(cid(1))) for owner in ("alice", "bob")]
        for call in (pinning.get, pinning.remove):
            with pytest.raises(UnknownRequest):
                await call("bob", hers.request.id)
        with pytest.raises(UnknownRequest):
            await pinning.replace("bob", hers.request.id, WantedPin(cid(2)))
        await pinning.remove("alice", hers.request.id)
        assert (await settled(pinning, "bob", his)).status is RequestStatus.PINNED
        await pinning.remove("bob", his.request.id)
        assert not await is_pinned(cluster, 1)


@virtual_time
async def test_what_the_cluster_pinned_itself_stays_as_it_was() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        pinning = service(cluster)
        before = await cluster.pin(cid(1), PinOptions(name="ours"))
        for owner in ("", "alice"):
            told = await pinning.add(owner, WantedPin(cid(1), "mine"))
            assert (await cluster.get_pin(cid(1))).options.name == "ours"
            await pinning.remove(owner, told.request.id)
        assert await cluster.get_pin(cid(1)) == before


@virtual_time
async def test_a_request_is_replaced_without_the_pin_going_in_between() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        pinning = service(cluster)
        changes: list[CID] = []
        old = await pinning.add("alice", WantedPin(cid(1), "old"))
        cluster.pinset.on_changes(lambda found: changes.extend(one.cid for one in found if one.pin is None))
        same = await pinning.replace("alice", old.request.id, WantedPin(cid(1), "new"))
        assert (changes, await listed(pinning, "alice")) == ([], [cid(1)])
        await pinning.replace("alice", same.request.id, WantedPin(cid(2)))
        assert (changes, await listed(pinning, "alice")) == ([cid(1)], [cid(2)])


@virtual_time
async def test_requests_outlive_the_process() -> None:
    database = InlineDatabase(tables=SCHEMA)
    world = MemoryCluster(1)
    async with world.all() as (cluster,):
        told = await service(cluster, database).add("alice", WantedPin(cid(1)))
    async with world.all() as (cluster,):
        again = service(cluster, database)
        assert (await settled(again, "alice", told)).request == told.request
        await again.remove("alice", told.request.id)
        assert not await is_pinned(cluster, 1)


@virtual_time
async def test_what_cannot_be_pinned_leaves_no_request() -> None:
    world = MemoryCluster(1, settings=ClusterSettings(replication_min=3, replication_max=3))
    async with world.all() as (cluster,):
        pinning = service(cluster)
        with pytest.raises(NotEnoughPeers):
            await pinning.add("alice", WantedPin(cid(1)))
        assert await listed(pinning, "alice") == []


@virtual_time
async def test_a_request_whose_pin_was_taken_away_says_so_and_can_be_removed() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        pinning = service(cluster)
        told = await pinning.add("alice", WantedPin(cid(1)))
        await cluster.unpin(cid(1))
        now = await pinning.get("alice", told.request.id)
        assert now.status is RequestStatus.FAILED
        assert "ask for it anew" in now.details
        await pinning.remove("alice", told.request.id)
        with pytest.raises(NotPinned):
            await cluster.get_pin(cid(1))


@virtual_time
async def test_statuses_are_those_of_the_members_that_are_to_hold_it() -> None:
    world = MemoryCluster(3, settings=ClusterSettings(replication_min=2, replication_max=2, pin_timeout=5.0))
    world.missing.add(cid(2))
    async with world.all() as clusters:
        await asyncio.sleep(2)
        pinning = service(clusters[0])
        good, bad = [await pinning.add("alice", WantedPin(cid(number))) for number in (1, 2)]
        assert (good.status, good.delegates) == (RequestStatus.QUEUED, (ADDRESS,))
        assert (await settled(pinning, "alice", good)).status is RequestStatus.PINNED
        failed = await settled(pinning, "alice", bad)
        assert failed.status is RequestStatus.FAILED
        assert failed.details
        assert await listed(pinning, "alice", RequestStatus.PINNED) == [cid(1)]
        assert await listed(pinning, "alice", RequestStatus.FAILED) == [cid(2)]
        assert await listed(pinning, "alice", RequestStatus.QUEUED, RequestStatus.PINNING) == []


@virtual_time
async def test_a_member_that_is_away_keeps_no_pin_for_everywhere_from_being_pinned() -> None:
    world = MemoryCluster(2)
    async with world.all() as clusters:
        await asyncio.sleep(2)
        world.network.set_up(world.peers[1], False)
        pinning = service(clusters[0])
        told = await pinning.add("alice", WantedPin(cid(1)))
        assert (await settled(pinning, "alice", told)).status is RequestStatus.PINNED


@virtual_time
async def test_all_that_fit_are_counted_and_as_many_told_as_are_asked_for() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        pinning = service(cluster)
        for told in [await pinning.add("alice", WantedPin(cid(number))) for number in range(1, 30)]:
            assert (await settled(pinning, "alice", told)).status is RequestStatus.PINNED
        pages: list[CID] = []
        query = RequestQuery("alice", statuses=frozenset({RequestStatus.PINNED}), limit=7)
        while (found := await pinning.list(query)).told:
            pages += [one.request.wanted.cid for one in found.told]
            query = RequestQuery(
                "alice", statuses=query.statuses, limit=7, before=found.told[-1].request.created
            )
        assert pages == [cid(number) for number in range(29, 0, -1)]


@virtual_time
async def test_origins_are_kept_with_the_pin_where_fetching_finds_them() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        pinning = service(cluster)
        await cluster.pin(cid(1), PinOptions(name="ours"))
        await pinning.add("alice", WantedPin(cid(1), origins=(ADDRESS,)))
        await pinning.add("alice", WantedPin(cid(2), origins=(ADDRESS,)))
        for number in (1, 2):
            assert (await cluster.get_pin(cid(number))).options.origins == (ADDRESS,)
