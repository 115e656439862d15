"""The networks of a node and the exchange over them, nearest first; none of it when it runs offline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bitswap.exchange import BitswapSettings, open_bitswap
from bitswap.network import ServedBlockSource
from bitswap.serving.peer_ledgers import LedgerBounds
from blockstore.block_waiters import StoredListener
from blockstore.blocks import Blocks, Exchange, GroupSource, NoGroups, OfflineExchange
from blockstore.cid import CID
from blockstore.common.way_count import WayCount
from cluster.common.address import Address
from cluster.common.methods import METHODS, Access
from cluster.interfaces import Member, Role
from cluster.ports import ClusterNetwork, Gossip, PeerCalls
from node.bandwidth import Bandwidth
from node.names.record_routing import RecordRoute
from node.offline_network import NoNetwork
from node.opened_folder import OpenedFolder
from node.p2p.settings import NetworkSettings
from node.parts import Bitswaps, BulkState, Swarm, TrafficReader
from node.retrieval.gateway_pool import open_gateways
from node.retrieval.hedged_exchange import HedgedExchange, Route
from node.routing.delegated.hedged_routers import open_routers
from node.routing.dht import Dht
from node.routing.joined_router import JoinedRouter
from node.routing.open_dht import open_dht
from node.routing.provider_exchange import ProviderExchange, Reach
from node.routing.router import Router
from node.services.early_offers import Offer, no_offer

OPEN_CALLS = tuple(method.name for method in METHODS if method.access is Access.ANYONE)
"""What a peer may call that is no member, as far as is known here: to show an invitation, or its grant."""


_WAYS = {
    "cluster": "members",
    "open network": "open",
    "routing": "routing",
    "trustless gateways": "gateways",
}


@dataclass(frozen=True, slots=True)
class Networks:
    """`admit` takes the members: they may speak from then on, and no other peer may.

    `swarm` is None while the open network is off. `on_stored` are to hear of each block that is stored.
    `routers` say who has what, `records` have the records of names, beside what the cluster knows.
    `bulk_addresses` are where this node offers blocks in bulk, `groups` what members offer. `offer` tells
    them what is being added here; what they tell is fetched once `take_offers` says into where.
    """

    gossip: Gossip
    calls: ClusterNetwork
    members: PeerCalls  # the same, where only members are connected
    swarm: Swarm | None
    exchange: Exchange
    on_stored: tuple[StoredListener, ...]
    admit: Callable[[Sequence[Member]], None]
    traffic: TrafficReader  # of the members' network, and in bulk
    bitswaps: Bitswaps
    ways: Mapping[str, WayCount]
    dht: Dht | None = None
    routers: tuple[Router, ...] = ()
    records: tuple[RecordRoute, ...] = ()
    groups: GroupSource = field(default_factory=NoGroups)
    bulk_addresses: tuple[str, ...] = ()
    bulk: BulkState | None = None
    offer: Offer = no_offer
    take_offers: Callable[[Blocks, Callable[[CID], bool]], None] = lambda blocks, refuses: None


@asynccontextmanager
async def open_networks(
    opened: OpenedFolder, served: ServedBlockSource, bandwidth: Bandwidth, *, offline: bool
) -> AsyncIterator[Networks]:
    """The members' private network and, where they are on, the open one and trustless gateways.

    Bitswap gives of `served` on both networks. What is moved passes `bandwidth`. Raises PortInUse.
    """
    if offline:
        yield _no_networks()
    else:
        async with _open_networks(opened, served, bandwidth) as networks:
            yield networks


def _no_networks() -> Networks:
    none = NoNetwork()
    return Networks(none, none, none, None, OfflineExchange(), (), lambda members: None, dict, {}, {})


@asynccontextmanager
async def _open_networks(
    opened: OpenedFolder, served: ServedBlockSource, bandwidth: Bandwidth
) -> AsyncIterator[Networks]:
    # Late: libp2p is most of what a node imports, and only this needs it.
    from node.bulk.bulk import BulkSettings, open_bulk
    from node.p2p.admission.gate import MembersGate
    from node.p2p.members_network import MembersNetwork
    from node.p2p.network import open_network
    from node.p2p.portal import open_portal

    config, identity, guard = opened.config, opened.identity, opened.guard
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        portal = await enter(open_portal())
        gate = MembersGate(identity.peer_id, OPEN_CALLS)
        inside, outside = bandwidth.members, bandwidth.open
        cluster = await enter(
            open_network(portal, identity, _private_network(opened), guard, gate, inside.down)
        )
        members = MembersNetwork(cluster, gate)
        own = BitswapSettings(up=inside.up)
        bitswaps = {"cluster": await enter(open_bitswap(served, members, own, guard))}
        routes = [Route("cluster", bitswaps["cluster"])]
        swarm: Swarm | None = None
        dhts: tuple[Dht, ...] = ()
        if config.swarm.enabled:
            settings = _public_network(opened)
            swarm = public = await enter(open_network(portal, identity, settings, guard, down=outside.down))
            open_to_all = BitswapSettings(bounds=_bounds(opened), up=outside.up)
            bitswaps["swarm"] = await enter(open_bitswap(served, public, open_to_all, guard))
            routes.append(Route("open network", bitswaps["swarm"]))
            if config.routing.dht != "off":
                dhts = (await enter(open_dht(public, guard, server=config.routing.dht == "server")),)
        asked = (await enter(open_routers(urls, guard)),) if (urls := config.routing.routers) else ()
        if swarm is not None and (routers := (*dhts, *asked)):
            reach = Reach(identity.peer_id, swarm.visit_briefly, swarm.peers)
            found = ProviderExchange(bitswaps["swarm"], JoinedRouter(routers, guard), reach, guard)
            routes.append(Route("routing", found))
        if urls := config.retrieval.gateways:
            gateways = await enter(open_gateways(urls, guard=guard, down=bandwidth.gateway.down))
            routes.append(Route("trustless gateways", gateways))
        ours = opened.cluster_file
        at = config.bulk.host, config.bulk.port
        offered = BulkSettings(*at, ours.genesis.cluster_id, ours.secret, inside)
        bulk = await enter(open_bulk(served, identity, offered, guard))

        cluster.on_peer_change(lambda peer, connected: bulk.appeared(peer) if connected else None)

        def admit(listed: Sequence[Member]) -> None:
            gate.admit(member.peer for member in listed)
            followers = {member.peer for member in listed if member.role is Role.FOLLOWER}
            bulk.admit(_offering(listed, identity.peer_id), followers)

        yield Networks(
            gossip=cluster,
            calls=cluster,
            members=members,
            swarm=swarm,
            exchange=HedgedExchange(routes),
            on_stored=tuple(bitswap.on_stored for bitswap in bitswaps.values()),
            admit=admit,
            traffic=lambda: {**cluster.traffic.totals(), **bulk.traffic()},
            bitswaps=bitswaps,
            ways={"bulk": bulk.exchange.came, **{_WAYS[route.name]: route.came for route in routes}},
            dht=dhts[0] if dhts else None,
            routers=(*dhts, *asked),
            records=(*dhts, *asked),
            groups=bulk.exchange,
            bulk_addresses=bulk.addresses(cluster.addresses(identity.peer_id)),
            bulk=bulk,
            offer=bulk.offers.offer,
            take_offers=bulk.early.into,
        )


def _offering(members: Sequence[Member], us: str) -> Mapping[str, Sequence[str]]:
    """Where members offer blocks in bulk; there are none for a node that is no member any more."""
    listed = {member.peer: member.bulk for member in members}
    return listed if us in listed else {}


def _private_network(opened: OpenedFolder) -> NetworkSettings:
    config = opened.config.cluster
    return NetworkSettings(
        name="cluster",
        listen=(_listen(config.host, config.port),),
        port_setting="cluster.port",
        psk=opened.cluster_file.secret,
        peer_file=opened.folder.peers.with_suffix(".cluster.json"),
        gossip=True,
        mdns=config.mdns,
    )


def _public_network(opened: OpenedFolder) -> NetworkSettings:
    config = opened.config.swarm
    return NetworkSettings(
        name="swarm",
        listen=(_listen(config.host, config.port),),
        port_setting="swarm.port",
        max_connections=config.max_connections,
        keep=config.peers,
        peer_file=opened.folder.peers,
        mdns=config.mdns,
    )


def _bounds(opened: OpenedFolder) -> LedgerBounds:
    """What peers of the open network get of us."""
    config = opened.config.swarm
    friends = frozenset(filter(None, (Address.parse(text).peer for text in config.peers)))
    return LedgerBounds(config.peer_wants, rate=config.peer_bytes, friends=friends)


def _listen(host: str, port: int) -> str:
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"
