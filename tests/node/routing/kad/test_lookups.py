"""Look-ups in a simulated DHT, in virtual time: right, quick and bounded, whoever lies, is silent or gone."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from random import Random

import pytest
from support.clock import virtual_time
from support.dht_network import Lie, SimDht, SimServer, sim_peer

from cluster.common.peer_id import multihash_of
from node.routing.kad.client import KadClient
from node.routing.kad.keys import kad_key
from node.routing.kad.message import KadMessage
from node.routing.kad.routing_table import RoutingTable
from node.routing.kad.walk import LONGEST
from node.routing.router import MAX_PROVIDERS, Provider

MULTIHASH = b"\x12\x20" + bytes(32)


def client_of(dht: SimDht, *, known: int = 20, number: int = 10**6) -> KadClient:
    """A client that knows some servers."""
    network = dht.node(number)
    table = RoutingTable(network.us.peer)
    honest = [one for one in dht.servers.values() if one.lie is None and not one.gone]
    for server in Random(number).sample(honest, known):
        table.heard(server.peer, 0.0)
    return KadClient(network, table, lambda: 1e9)


async def found_by(client: KadClient, multihash: bytes) -> list[Provider]:
    async with aclosing(client.providers(multihash)) as providers:
        return [one async for one in providers]


def name(number: int) -> bytes:
    return b"\x12\x20" + Random(number).randbytes(32)


@virtual_time
async def test_a_look_up_finds_the_very_nearest() -> None:
    dht = SimDht(2000)
    client = client_of(dht)
    for number in range(10):
        found = await client.closest(name(number))
        right = [one.peer for one in dht.nearest(kad_key(name(number)))]
        assert len(found) == 20
        assert len({*found} & {*right}) >= 19
    assert sum(dht.asked.values()) < 10 * 60


@virtual_time
async def test_what_one_provides_another_finds_within_two_seconds() -> None:
    dht = SimDht(2000, delay=0.1)
    one, other = client_of(dht), client_of(dht, number=10**6 + 1)
    loop = asyncio.get_running_loop()
    for number in range(5):
        began = loop.time()
        await one.provide(name(number))
        provided = loop.time()
        assert provided - began < 2.0
        async with aclosing(other.providers(name(number))) as providers:
            assert (await anext(providers)) == one.network.us
        assert loop.time() - provided < 1.0


@virtual_time
async def test_half_of_the_servers_gone_costs_time_and_loses_nothing() -> None:
    dht = SimDht(500)
    one, other = client_of(dht), client_of(dht, number=10**6 + 1, known=40)
    for number in range(6):
        await one.provide(name(number))
    dht.replace(0.5)
    for number in range(6):
        assert one.network.us in await found_by(other, name(number))


def nobody_closer(server: SimServer, request: KadMessage) -> KadMessage:
    """Names twenty peers next to the key that do not exist."""
    made = (sim_peer(int.from_bytes(os.urandom(4)), 7) for _ in range(20))
    return KadMessage(request.type, request.key, closer=tuple(made))


def false_providers(server: SimServer, request: KadMessage) -> KadMessage:
    """Names hundreds that do not have it, and honest peers."""
    made = tuple(sim_peer(int.from_bytes(os.urandom(4)), 9) for _ in range(200))
    return KadMessage(request.type, request.key, closer=server.answer(request).closer, providers=made)


def each_other(server: SimServer, request: KadMessage) -> KadMessage:
    """Names liars alone."""
    liars = [one.peer for one in server.network.servers.values() if one.lie is not None]
    return KadMessage(request.type, request.key, closer=tuple(server.network.random.sample(liars, 20)))


def nothing(server: SimServer, request: KadMessage) -> KadMessage:
    return KadMessage(request.type, request.key)


@pytest.mark.parametrize("lie", [nobody_closer, false_providers, each_other, nothing])
def test_with_a_quarter_of_liars_a_look_up_ends_and_finds_the_honest_answer(lie: Lie) -> None:
    @virtual_time
    async def run() -> None:
        dht = SimDht(400)
        dht.corrupt(0.25, lie)
        one, other = client_of(dht), client_of(dht, number=10**6 + 1)
        loop = asyncio.get_running_loop()
        for number in range(3):
            await one.provide(name(number))
            began, asked = loop.time(), sum(dht.asked.values())
            found = await found_by(other, name(number))
            assert one.network.us in found
            assert len(found) <= MAX_PROVIDERS
            assert loop.time() - began < LONGEST
            assert sum(dht.asked.values()) - asked <= 150

    run()


@virtual_time
async def test_a_network_of_liars_alone_is_left_in_bounded_time() -> None:
    dht = SimDht(100)
    client = client_of(dht)
    dht.corrupt(1.0, nobody_closer)
    assert await found_by(client, MULTIHASH) == []
    assert asyncio.get_running_loop().time() <= LONGEST


@virtual_time
async def test_a_peer_is_found_where_it_is() -> None:
    dht = SimDht(500)
    client = client_of(dht)
    for server in dht.random.sample(list(dht.servers.values()), 5):
        assert await client.peer(server.peer.peer, multihash_of(server.peer.peer)) == server.peer
    assert await client.peer(sim_peer(10**7).peer, multihash_of(sim_peer(10**7).peer)) is None
