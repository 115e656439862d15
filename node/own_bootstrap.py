"""How this node finds the DHT: by memory, members, its settings, and the shipped list where it may."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from blockstore.common.tasks import background
from cluster.common.loops import steadily
from node.names.dns import DnsServer
from node.names.lookups import Lookups
from node.networks import Networks
from node.opened_folder import OpenedFolder
from node.own_cluster import OwnCluster
from node.routing.bootstrap import Bootstrap, BootstrapWay
from node.routing.dht import Dht
from node.routing.dnsaddr import servers_at
from node.routing.remembered_servers import RememberedServers
from node.routing.router import Provider
from node.routing.shipped_servers import SHIPPED


@asynccontextmanager
async def open_own_bootstrap(
    opened: OpenedFolder, networks: Networks, own: OwnCluster
) -> AsyncIterator[None]:
    """For the length of the block, where there is a DHT."""
    if networks.dht is None:
        yield
        return
    bootstrap = _bootstrap(opened, networks.dht, own)
    async with background(steadily(opened.guard, "finding servers", "the DHT", bootstrap.turn)):
        try:
            yield
        finally:
            await bootstrap.keep()


def _bootstrap(opened: OpenedFolder, dht: Dht, own: OwnCluster) -> Bootstrap:
    config = opened.config
    server = DnsServer.parse(config.names.resolver) if config.names.resolver else None
    texts = Lookups(server, config.names.timeout)

    async def members() -> Sequence[Provider]:
        pings = [own.cluster.ping_of(peer) for peer in own.cluster.members.peers()]
        others = [ping for ping in pings if ping.ipfs_id not in ("", opened.identity.peer_id)]
        return [Provider(ping.ipfs_id, tuple(map(_without_peer, ping.ipfs_addresses))) for ping in others]

    async def at(addresses: Sequence[str]) -> Sequence[Provider]:
        return [server for address in addresses for server in await servers_at(address, texts)]

    ways = [
        BootstrapWay("members", members),
        BootstrapWay("configured servers", lambda: at((*config.swarm.peers, *config.routing.bootstrap))),
    ]
    if config.routing.public:
        ways.append(BootstrapWay("shipped servers", lambda: at(SHIPPED)))
    return Bootstrap(dht, RememberedServers(opened.folder.servers, time.time), ways)


def _without_peer(address: str) -> str:
    return address.partition("/p2p/")[0]
