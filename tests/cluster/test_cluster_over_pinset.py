"""The whole cluster on its real pinset and real SQL, over a bad network; only blocks are played."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.inline_database import InlineDatabase
from support.memory_cluster import settled_as, until
from support.memory_pins import MemoryPins
from support.pinset_member import PinsetMember, grown_cluster, some_cid

from blockstore.cid import CID
from blockstore.common.guard import Guard
from cluster.assembly import LocalNode, open_cluster
from cluster.calls.node_info import IpfsInfo
from cluster.cluster import Cluster
from cluster.context import ClusterContext
from cluster.pin import PinOptions, Status
from cluster.ports import Capacity
from cluster.settings import ClusterSettings
from cluster.tracking import attempt_store
from cluster.tracking.attempt_store import SqliteAttempts

TWO = PinOptions(name="two", replication_min=2, replication_max=2, metadata={"k": "v"})


def wall() -> float:
    return 1e9 + asyncio.get_running_loop().time()


async def capacity() -> Capacity:
    return Capacity(free=10**12, used=0, quota=0)


def create(db: sqlite3.Connection) -> None:
    for statement in attempt_store.SCHEMA.split(";"):
        db.execute(statement)


@asynccontextmanager
async def clustered(
    member: PinsetMember, pins: MemoryPins, database: InlineDatabase
) -> AsyncIterator[Cluster]:
    """That member's cluster, over its running pinset."""
    port = member.network.peers[member.peer]
    await database.write(create)
    name = f"member {member.peer[-4:]}"
    async with open_cluster(
        ClusterContext(
            peer=member.peer,
            name=name,
            cluster_id=member.pinset.genesis.cluster_id,
            pinset=member.pinset,
            members=member.pinset.members,
            calls=port,
            settings=ClusterSettings(),
            now=wall,
            guard=Guard(),
        ),
        LocalNode("1.1.6+test", IpfsInfo, pins, SqliteAttempts(database), capacity),
        port,
        member.signer,
    ) as cluster:
        yield cluster


@asynccontextmanager
async def three(network: SimNetwork, missing: set[CID]) -> AsyncIterator[list[Cluster]]:
    members = await grown_cluster(3, network, wall)
    async with AsyncExitStack() as stack:
        for member in members:
            stack.push_async_callback(member.stop)
        yield [
            await stack.enter_async_context(clustered(member, MemoryPins(missing, set()), InlineDatabase()))
            for member in members
        ]


async def pinned_by(cluster: Cluster, number: int, peers: set[str]) -> None:
    await settled_as(cluster, some_cid(number), Status.PINNED, sorted(peers))


@virtual_time
async def test_a_pin_with_a_factor_reaches_its_holders_over_a_bad_network() -> None:
    network = SimNetwork(Random(7), loss=0.2, repeat=0.2, delay=0.2)
    async with three(network, set()) as (a, b, c):
        await until(lambda: heard(a, 3), 120)
        pin = await a.pin(some_cid(1), TWO)
        assert len(pin.allocations) == 2
        await until(lambda: knows(c, 1), 600)
        await pinned_by(c, 1, set(pin.allocations))
        network.loss = 0.0  # a member whose answer is lost has no row
        rows = [info async for info in b.statuses.all()]
        assert [info.cid for info in rows] == [some_cid(1)]
        assert rows[0].pin == pin
        statuses = sorted(info.status for info in rows[0].peers.values())
        assert statuses == [Status.PINNED, Status.PINNED, Status.REMOTE]
        assert await c.unpin(some_cid(1)) == pin
        await until(lambda: holds_nothing(a, b, c), 900)


async def heard(cluster: Cluster, count: int) -> bool:
    return len(cluster.metrics.valid("freespace")) == count


async def knows(cluster: Cluster, number: int) -> bool:
    return [pin.cid async for pin in cluster.pinset.pins()].count(some_cid(number)) == 1


async def holds_nothing(*clusters: Cluster) -> bool:
    return not any([await cluster.tracking.holds(some_cid(1), True) for cluster in clusters])


@virtual_time
async def test_parts_that_were_cut_off_pin_each_others_pins_when_they_meet_again() -> None:
    network = SimNetwork(Random(3))
    async with three(network, set()) as (a, b, c):
        peers = {cluster.context.peer for cluster in (a, b, c)}
        network.part([a.context.peer], [b.context.peer, c.context.peer])
        await a.pin(some_cid(1), PinOptions())
        await b.pin(some_cid(2), PinOptions())
        await asyncio.sleep(60)
        (down,) = [peer for peer in peers if peer == c.context.peer]
        info = (await a.statuses.one(some_cid(1))).peers[down]
        assert info.status is Status.CLUSTER_ERROR
        assert info.error
        network.part()
        await pinned_by(c, 1, peers)
        await pinned_by(a, 2, peers)


@virtual_time
async def test_failures_are_remembered_across_a_restart_of_the_process() -> None:
    missing = {some_cid(1)}
    (member,) = await grown_cluster(1, SimNetwork(Random(1)), wall)
    database, pins = InlineDatabase(), MemoryPins(missing, set())
    async with clustered(member, pins, database) as cluster:
        await cluster.pin(some_cid(1), PinOptions())
        await settled_as(cluster, some_cid(1), Status.PIN_ERROR, [member.peer])
    await member.kill()
    await member.start()
    async with clustered(member, pins, database) as cluster:
        info = (await cluster.statuses.one(some_cid(1))).peers[member.peer]
        assert (info.status, info.attempts, info.error) == (Status.PIN_ERROR, 1, "no providers found")
        missing.clear()
        await settled_as(cluster, some_cid(1), Status.PINNED, [member.peer], 60)
    await member.stop()
