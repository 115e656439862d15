"""Providing to a simulated DHT in virtual time: new roots at once, all again each cycle, for few look-ups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from support.clock import virtual_time
from support.dht_network import SimDht
from support.inline_database import InlineDatabase
from support.memory_cluster import EPOCH, cid, wall_clock

from blockstore.cid import CID
from blockstore.common.guard import Guard
from node.providing.providing import Providing, running_providing
from node.providing.schedule_store import SCHEMA
from node.providing.sweep import PERIOD
from node.routing.dht import Dht, KadRouter
from node.routing.kad.client import KadClient
from node.routing.kad.keys import kad_key
from node.routing.kad.routing_table import RoutingTable
from node.routing.kad.streams import WAN

HOUR = 3600.0


@dataclass
class Shelf:
    """Content that a test puts there; `foreign` is told by another member."""

    here: list[CID] = field(default_factory=list)
    foreign: set[CID] = field(default_factory=set)

    async def pages(self) -> AsyncIterator[Sequence[CID]]:
        for start in range(0, len(self.here), 500):
            yield await self.ours(self.here[start : start + 500])

    async def ours(self, roots: Sequence[CID]) -> Sequence[CID]:
        return [one for one in roots if one not in self.foreign]

    async def kept(self, cids: Sequence[CID]) -> list[CID]:
        here = set(self.here)
        return [one for one in cids if one in here]


class World:
    """A network, a node in it, and the file that outlives the node."""

    def __init__(self, servers: int, names: int = 0) -> None:
        self.dht = SimDht(servers, delay=0.1)
        self.shelf = Shelf([cid(number) for number in range(names)])
        self.database = InlineDatabase(tables=SCHEMA)
        self.guard = Guard()

    def client(self, number: int = 10**6) -> KadClient:
        network = self.dht.node(number)
        table = RoutingTable(network.us.peer)
        for server in self.dht.random.sample([*self.dht.servers.values()], min(20, len(self.dht.servers))):
            if not server.gone:
                table.heard(server.peer, 0.0)
        return KadClient(network, table, wall_clock)

    @asynccontextmanager
    async def node(self, strategy: str = "roots") -> AsyncIterator[Providing]:
        dht = Dht([KadRouter(self.client(), WAN)], self.guard)
        async with running_providing(
            dht, self.database, self.shelf, strategy, self.guard, wall_clock
        ) as providing:
            yield providing
        assert not self.guard.failures

    def lookups(self) -> int:
        """As the servers saw them, roughly: requests that looked for peers."""
        return sum(self.dht.asked.values())

    def told(self, name: CID) -> int:
        """The servers among the nearest that know of it."""
        keepers = self.dht.nearest(kad_key(name.multihash))
        return sum(name.multihash in server.provided for server in keepers)


async def swept(providing: Providing) -> None:
    """Until every name of the cycle is told."""

    async def is_done() -> bool:
        (standing,) = await providing.standing()
        return bool(standing.names and not standing.due)

    while not await is_done():  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(10)


@virtual_time
async def test_a_new_root_is_found_by_others_within_two_seconds() -> None:
    world = World(500)
    async with world.node() as providing:
        await asyncio.sleep(60)
        world.shelf.here.append(cid(7))
        began = asyncio.get_running_loop().time()
        providing.completed([cid(7)])
        found: list[str] = []
        while not found:
            async with aclosing(world.client(10**6 + 1).providers(cid(7).multihash)) as providers:
                found = [one.peer async for one in providers]
        assert asyncio.get_running_loop().time() - began <= 2.0
        assert world.told(cid(7)) >= 19


@virtual_time
async def test_the_first_cycle_goes_without_pauses_and_the_next_evenly_over_its_time() -> None:
    world = World(150, names=600)
    async with world.node() as providing:
        await swept(providing)
        assert asyncio.get_running_loop().time() < HOUR
        assert min(world.told(name) for name in world.shelf.here[:60]) >= 15
        (standing,) = await providing.standing()
        assert (standing.names, standing.hurried, standing.figures.failed) == (600, True, 0)
        assert standing.figures.lookups < 40
        first = standing.figures.lookups
        await asyncio.sleep(PERIOD - asyncio.get_running_loop().time() + PERIOD / 2)
        (standing,) = await providing.standing()
        assert not standing.hurried
        assert 250 < standing.due < 350
        assert abs(standing.figures.lookups - first * 1.5) < first / 4


@virtual_time
async def test_ten_times_the_names_cost_about_the_same_look_ups() -> None:
    costs = []
    for names in (100, 1000):
        world = World(150, names)
        async with world.node() as providing:
            await swept(providing)
            costs.append((await providing.standing())[0].figures.lookups)
    assert costs[1] <= costs[0] * 1.5


@virtual_time
async def test_a_restart_goes_on_where_it_was_and_a_long_absence_is_caught_up() -> None:
    world = World(150, names=300)
    loop = asyncio.get_running_loop()
    async with world.node() as providing:
        await swept(providing)
        await asyncio.sleep(PERIOD + PERIOD / 2 - loop.time())
        (before,) = await providing.standing()
    async with world.node() as providing:
        (after,) = await providing.standing()
        assert (after.due, after.cycle_began) == (before.due, before.cycle_began)
        await asyncio.sleep(60)
        assert (await providing.standing())[0].figures.lookups <= 2
    await asyncio.sleep(40 * HOUR)
    async with world.node() as providing:
        await asyncio.sleep(60)
        (late,) = await providing.standing()
        assert late.hurried
        assert late.cycle_began > EPOCH + PERIOD * 2
        began = loop.time()
        await swept(providing)
        assert loop.time() - began < HOUR


@virtual_time
async def test_what_is_gone_or_another_members_is_not_told() -> None:
    world = World(100, names=10)
    world.shelf.foreign = {cid(3)}
    async with world.node() as providing:
        await swept(providing)
        assert [number for number in range(10) if not world.told(cid(number))] == [3]
        providing.completed([cid(3)])
        world.shelf.here.remove(cid(4))
        for server in world.dht.servers.values():
            server.provided.clear()
        await asyncio.sleep(2 * PERIOD)
        assert [number for number in range(10) if not world.told(cid(number))] == [3, 4]


@virtual_time
async def test_many_new_roots_at_once_go_region_by_region() -> None:
    world = World(150)
    async with world.node() as providing:
        world.shelf.here += [cid(number) for number in range(400)]
        providing.completed(world.shelf.here)
        await swept(providing)
        (standing,) = await providing.standing()
        assert standing.figures.lookups < 40
        assert min(world.told(name) for name in world.shelf.here[:40]) >= 15


@virtual_time
async def test_another_strategy_is_gathered_anew() -> None:
    world = World(100, names=10)
    async with world.node() as providing:
        await swept(providing)
    world.shelf.here += [cid(number) for number in range(10, 30)]
    async with world.node("pinned") as providing:
        await asyncio.sleep(60)
        assert (await providing.standing())[0].names == 30


@pytest.mark.slow
@pytest.mark.timeout(900)
@virtual_time
async def test_a_hundred_thousand_names_among_ten_thousand_servers_cost_few_look_ups() -> None:
    world = World(10_000, names=100_000)
    world.dht.keeps = False
    async with world.node() as providing:
        await swept(providing)
        (standing,) = await providing.standing()
    figures = standing.figures
    print(f"{figures} after {asyncio.get_running_loop().time():.0f} s, {dict(world.dht.asked)}")
    assert figures.names == 100_000
    assert figures.lookups <= 4000
