"""Our DHT client and server beside real Kubos that are a small DHT of this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager

import pytest
from support.kubo import Kubo
from support.p2p_networks import SETTINGS

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.common.guard import Guard
from node.datadir.identity import Identity
from node.names.ipns_record import verify
from node.names.name import IpnsName
from node.p2p.network import Libp2pNetwork, open_network
from node.p2p.portal import open_portal
from node.routing.dht import Dht
from node.routing.open_dht import open_dht
from node.routing.router import Router

pytestmark = [pytest.mark.interop, pytest.mark.timeout(90)]
SERVERS = 5


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Kubo]]:
    """That many, each connected to all before it."""
    folder = tmp_path_factory.mktemp("dht")
    with ExitStack() as stack:
        made = [Kubo(folder / str(number), routing="dhtserver") for number in range(SERVERS)]
        for number, server in enumerate(made):
            stack.enter_context(server.running())
            for other in made[:number]:
                server.run("swarm", "connect", other.address())
        yield made


@asynccontextmanager
async def joined(server: Kubo, *, as_server: bool = False) -> AsyncIterator[tuple[Libp2pNetwork, Dht]]:
    """One of ours that knows that server alone, once it is in the table."""
    async with (
        open_portal() as portal,
        open_network(portal, Identity.generate(), SETTINGS) as network,
        open_dht(network, Guard(), server=as_server) as dht,
    ):
        described = asyncio.Event()
        network.on_described(lambda _peer: described.set())
        await network.connect(server.address())
        await described.wait()
        yield network, dht


def added(server: Kubo) -> CID:
    """A file that it holds, and nobody else."""
    path = server.folder.with_suffix(".txt")
    path.write_bytes(os.urandom(16))
    return CID.parse(server.run("add", "-Q", "--cid-version=1", str(path)))


def block() -> Block:
    data = b"in the DHT " + os.urandom(8)
    return Block.of(data, RAW)


async def providers(router: Router, cid: CID) -> set[str]:
    async with aclosing(router.providers(cid)) as found:
        return {one.peer async for one in found if one.addresses}


async def test_we_find_what_the_farthest_of_them_provides(servers: Sequence[Kubo]) -> None:
    cid = added(servers[-1])
    servers[-1].run("routing", "provide", str(cid))
    async with joined(servers[0]) as (_, dht):
        assert await providers(dht, cid) == {servers[-1].run("id", "-f", "<id>")}


async def test_we_find_where_a_peer_is_that_we_never_met(servers: Sequence[Kubo]) -> None:
    peer = servers[3].run("id", "-f", "<id>")
    async with joined(servers[0]) as (_, dht):
        found = await dht.peer(peer)
    assert found is not None
    assert f"{found.addresses[0]}/p2p/{peer}" == servers[3].address()


async def test_they_find_what_we_provide(servers: Sequence[Kubo]) -> None:
    cid = block().cid
    async with joined(servers[0]) as (network, dht):
        await dht.provide(cid)
        for server in servers:
            assert network.self_id in await asyncio.to_thread(server.run, "routing", "findprovs", str(cid))


async def test_a_name_that_one_of_them_publishes_is_found_and_given_on(servers: Sequence[Kubo]) -> None:
    key = servers[2].run("key", "gen", f"k{os.urandom(4).hex()}")
    servers[2].run("name", "publish", "--resolve=false", "--key=" + key, f"/ipfs/{block().cid}")
    name = IpnsName.parse(key)
    async with joined(servers[0]) as (_, dht):
        records = await dht.find(name)
        assert [record.value for record in records]
        await dht.publish(name, records[0])
        assert verify(name, records[0].raw, 0.0) == records[0]
