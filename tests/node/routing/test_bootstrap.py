"""Finding the DHT: by what answered before, then by other ways, the last only when all others fail."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.dht_network import SimDht, sim_peer
from support.memory_cluster import wall_clock

from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from node.names.dns import Texts
from node.names.errors import DnsFailure
from node.routing.bootstrap import ENOUGH, Bootstrap, BootstrapWay
from node.routing.dht import Dht, KadRouter
from node.routing.dnsaddr import servers_at
from node.routing.kad.client import KadClient
from node.routing.kad.routing_table import RoutingTable
from node.routing.kad.streams import WAN
from node.routing.remembered_servers import MOST, RememberedServers
from node.routing.router import Provider

DAY = 86400.0


class Way:
    """A way to servers that counts how often it is taken."""

    def __init__(self, name: str, *peers: Provider) -> None:
        self.peers = peers
        self.taken = 0
        self.way = BootstrapWay(name, self._take)

    async def _take(self) -> Sequence[Provider]:
        self.taken += 1
        return self.peers


class Newcomer:
    """A node that starts with an empty table."""

    def __init__(self, network: SimDht, path: Path, *ways: Way) -> None:
        sim = network.node()
        self.client = KadClient(sim, RoutingTable(sim.us.peer), wall_clock)
        self.remembered = RememberedServers(path, wall_clock)
        dht = Dht([KadRouter(self.client, WAN)], Guard())
        self.bootstrap = Bootstrap(dht, self.remembered, [one.way for one in ways])

    async def settle(self, seconds: float = 120.0) -> int:
        """Servers that are known after that time."""

        async def turns() -> None:
            while True:
                await self.bootstrap.turn()

        async with background(turns()):
            await asyncio.sleep(seconds)
        return len(self.client.table)


def some(network: SimDht, count: int, start: int = 0) -> list[Provider]:
    return [one.peer for one in list(network.servers.values())[start : start + count]]


def test_a_first_start_goes_by_the_next_way_that_leads_to_enough(tmp_path: Path) -> None:
    @virtual_time
    async def run() -> None:
        network = SimDht(60)
        members, listed = Way("members", *some(network, 20)), Way("shipped", *some(network, 20, 20))
        assert await Newcomer(network, tmp_path / "servers.json", members, listed).settle() >= ENOUGH
        assert (members.taken, listed.taken) == (1, 0)

    run()


def test_after_a_month_it_comes_back_by_memory_though_half_is_gone_and_every_list_is_unreachable(
    tmp_path: Path,
) -> None:
    @virtual_time
    async def run() -> None:
        network = SimDht(60)
        path = tmp_path / "servers.json"
        assert await Newcomer(network, path, Way("configured", *some(network, 30))).settle() >= ENOUGH
        kept = len(json.loads(path.read_text()))
        assert kept >= ENOUGH
        await asyncio.sleep(30 * DAY)
        network.replace(0.5)
        dead = Way("shipped", sim_peer(10**7))
        again = Newcomer(network, path, dead)
        assert len(again.remembered) == kept
        assert await again.settle() >= 3

    run()


def test_while_nothing_answers_nothing_is_forgotten(tmp_path: Path) -> None:
    @virtual_time
    async def run() -> None:
        network = SimDht(60)
        path = tmp_path / "servers.json"
        await Newcomer(network, path, Way("configured", *some(network, 30))).settle()
        before = json.loads(path.read_text())
        network.replace(1.0)
        offline = Newcomer(network, path)
        assert await offline.settle(DAY) == 0
        assert {one["peer"] for one in json.loads(path.read_text())} == {one["peer"] for one in before}

    run()


def test_what_is_remembered_is_bounded_and_ages(tmp_path: Path) -> None:
    @virtual_time
    async def run() -> None:
        servers = RememberedServers(tmp_path / "s.json", wall_clock)
        servers.answered([sim_peer(number) for number in range(MOST + 50)])
        assert len(servers) == MOST
        await servers.save()
        await asyncio.sleep(89 * DAY)
        assert len(RememberedServers(tmp_path / "s.json", wall_clock)) == MOST
        await asyncio.sleep(2 * DAY)
        assert len(RememberedServers(tmp_path / "s.json", wall_clock)) == 0

    run()


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["peer", "addresses", "seen"]) | st.text(), inner)
    ),
    max_leaves=10,
)


@given(json_values.map(json.dumps).map(str.encode) | st.binary())
def test_any_file_is_a_memory_or_none(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "servers.json"
        path.write_bytes(data)
        assert len(RememberedServers(path, lambda: 1e9)) <= MOST


async def test_names_lead_to_the_addresses_of_that_peer_alone() -> None:
    records = {
        "_dnsaddr.a.test": ("dnsaddr=/dnsaddr/b.test/p2p/ONE", "dnsaddr=/dnsaddr/b.test/p2p/TWO", "v=spf1"),
        "_dnsaddr.b.test": ("dnsaddr=/ip4/192.0.2.1/tcp/4001/p2p/ONE", "dnsaddr=/dnsaddr/a.test/p2p/ONE"),
    }

    async def texts(name: str) -> Texts:
        if name not in records:
            raise DnsFailure(name)
        return Texts(records[name], 60.0)

    assert await servers_at("/dnsaddr/a.test/p2p/ONE", texts) == [
        Provider("ONE", ("/ip4/192.0.2.1/tcp/4001",))
    ]
    assert await servers_at("/dnsaddr/c.test/p2p/ONE", texts) == []
    assert await servers_at("/ip4/192.0.2.9/tcp/1/p2p/X", texts) == [Provider("X", ("/ip4/192.0.2.9/tcp/1",))]
