"""What every Router promises (node/routing/router.py), run against each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import pytest
from support.dht_network import SimDht
from support.http_router import GONE, http_router
from support.memory_cluster import cid

from blockstore.cid import CID, DAG_PB
from blockstore.common.guard import Guard
from node.datadir.identity import Identity
from node.routing.delegated.hedged_routers import open_routers
from node.routing.dht import KadRouter
from node.routing.joined_router import JoinedRouter
from node.routing.kad.client import KadClient
from node.routing.kad.keys import kad_key
from node.routing.kad.message import KadMessage, KadType
from node.routing.kad.routing_table import RoutingTable
from node.routing.kad.streams import WAN
from node.routing.member_router import MemberRouter
from node.routing.router import Provider, Router

US, NEAR, FAR, STRANGER = (Identity.generate().peer_id for _ in range(4))
WORLD = {
    cid(1): (Provider(NEAR, ("/ip4/127.0.0.1/tcp/4001",)), Provider(FAR, ("/ip4/127.0.0.2/tcp/4001",))),
    cid(2): (Provider(FAR, ("/ip4/127.0.0.2/tcp/4001",)),),
}
"""Who provides what, when the suite begins; `US` provides nothing yet."""

World = Mapping[CID, Sequence[Provider]]
Opener = Callable[[World], AbstractAsyncContextManager[Router]]


@asynccontextmanager
async def members(world: World) -> AsyncIterator[Router]:
    """One that knows it from the pinset."""
    places = {one.peer: [f"{place}/p2p/{one.peer}" for place in one.addresses] for one in _all(world)}

    async def holding(wanted: CID) -> list[str]:
        found = [
            one.peer for name, held in world.items() if name.multihash == wanted.multihash for one in held
        ]
        return [*found, *found]

    yield MemberRouter(holding, lambda peer: places.get(peer, ()))


@asynccontextmanager
async def joined(world: World) -> AsyncIterator[Router]:
    """Two that know half of it each, and both the peers of the first CID."""
    async with members({cid(1): world[cid(1)]}) as one, members(world) as other:
        yield JoinedRouter([one, other], Guard())


@asynccontextmanager
async def dht(world: World) -> AsyncIterator[Router]:
    """A DHT client among servers, of which these peers are some."""
    peers = {one.peer: one for one in _all(world)}
    network = SimDht(100, delay=0.0, others=tuple(peers.values()))
    for wanted, held in world.items():
        for server in network.nearest(kad_key(wanted.multihash)):
            server.told(KadMessage(KadType.ADD_PROVIDER, wanted.multihash, providers=tuple(held)))
    kad, table = network.node(), RoutingTable(US)
    for server in list(network.servers.values())[:20]:
        table.heard(server.peer, 0.0)
    yield KadRouter(KadClient(kad, table, lambda: 0.0), WAN)


@asynccontextmanager
async def delegated(world: World) -> AsyncIterator[Router]:
    """A router over HTTP, behind one that is gone."""
    async with http_router(world) as server, open_routers([GONE, server.url], Guard(), 0.1) as routers:
        yield routers


OPENERS: dict[str, Opener] = {"members": members, "joined": joined, "dht": dht, "delegated": delegated}


@pytest.fixture(params=OPENERS)
async def router(request: pytest.FixtureRequest) -> AsyncIterator[Router]:
    async with OPENERS[request.param](WORLD) as opened:
        yield opened


def _all(world: World) -> list[Provider]:
    return [one for held in world.values() for one in held]


async def found_by(router: Router, wanted: CID) -> list[Provider]:
    """Without the protocols, which each router knows or does not."""
    async with aclosing(router.providers(wanted)) as providers:
        return [Provider(one.peer, one.addresses) async for one in providers]


async def test_each_provider_comes_once_with_its_addresses(router: Router) -> None:
    found = await found_by(router, cid(1))
    assert sorted(found, key=lambda one: one.peer) == sorted(WORLD[cid(1)], key=lambda one: one.peer)


async def test_another_codec_of_the_same_bytes_has_the_same_providers(router: Router) -> None:
    assert await found_by(router, CID.v1(DAG_PB, cid(2).multihash)) == list(WORLD[cid(2)])


async def test_what_nobody_provides_ends_without_an_error(router: Router) -> None:
    assert await found_by(router, cid(3)) == []


async def test_a_caller_may_leave_after_the_first_provider(router: Router) -> None:
    async with aclosing(router.providers(cid(1))) as providers:
        async for one in providers:
            assert Provider(one.peer, one.addresses) in WORLD[cid(1)]
            break
    assert len(await found_by(router, cid(1))) == 2


async def test_a_peer_is_found_with_its_addresses_and_an_unknown_one_is_none(router: Router) -> None:
    assert await router.peer(FAR) == WORLD[cid(2)][0]
    assert await router.peer(STRANGER) is None


async def test_providing_what_is_provided_changes_nothing_for_the_others(router: Router) -> None:
    await router.provide(cid(1))
    assert {one.peer for one in await found_by(router, cid(1))} >= {NEAR, FAR}
