"""The networks of a node and the exchange over them, nearest first; none of it when it runs offline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import inf

from bitswap.exchange import BitswapSettings, open_bitswap
from bitswap.network import Shelf
from bitswap.pace import Rates
from blockstore.guard import Guard
from blockstore.service import Exchange, OfflineExchange
from cluster.catchup import MEMBERS
from cluster.joining import JOIN
from cluster.ports import Gossip, PeerCalls
from node.belonging import Belonging
from node.config import Config
from node.folder import Folder
from node.identity import Identity
from node.offline import NoNetwork
from node.parts import Swarm
from node.retrieval.gateways import open_gateways
from node.retrieval.staggered import StaggeredExchange, Way

OPEN_CALLS = (JOIN, MEMBERS)
"""What a peer may call that is no member, as far as is known here: to show an invitation, or its grant."""


_MEMBERS = BitswapSettings(rates=Rates(abuse=inf))  # a member is held back, and never hung up on for that


@dataclass(frozen=True, slots=True)
class Networks:
    """`admit` takes the members: they may speak from then on, and nobody else may.

    `swarm` is None while the open network is off.
    """

    gossip: Gossip
    calls: PeerCalls
    members: PeerCalls  # the same, where only members are connected
    swarm: Swarm | None
    exchange: Exchange
    admit: Callable[[Iterable[str]], None]


@asynccontextmanager
async def open_networks(
    config: Config,
    folder: Folder,
    identity: Identity,
    belonging: Belonging,
    shelf: Shelf,
    guard: Guard,
    *,
    offline: bool,
) -> AsyncIterator[Networks]:
    """The members' private network and, where they are on, the open one and trustless gateways.

    Bitswap gives from `shelf` on both networks.

    Raises PortInUse.
    """
    if offline:
        nobody = NoNetwork()
        yield Networks(nobody, nobody, nobody, None, OfflineExchange(), lambda members: None)
        return
    # Late: libp2p is most of what a node imports, and only this needs it.
    from node.p2p.gate import MembersGate
    from node.p2p.members import MembersNetwork
    from node.p2p.network import NetworkSettings, open_network
    from node.p2p.portal import open_portal

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        portal = await enter(open_portal())
        private = NetworkSettings(
            name="cluster",
            listen=(_listen(config.cluster.host, config.cluster.port),),
            port_setting="cluster.port",
            psk=belonging.secret,
            peer_file=folder.peers.with_suffix(".cluster.json"),
            gossip=True,
            mdns=config.cluster.mdns,
        )
        gate = MembersGate(identity.peer_id, OPEN_CALLS)
        cluster = await enter(open_network(portal, identity, private, guard, gate))
        members = MembersNetwork(cluster, gate)
        ways = [Way("cluster", await enter(open_bitswap(shelf, members, guard=guard)))]
        swarm: Swarm | None = None
        if config.swarm.enabled:
            public = NetworkSettings(
                name="swarm",
                listen=(_listen(config.swarm.host, config.swarm.port),),
                port_setting="swarm.port",
                max_connections=config.swarm.max_connections,
                keep=config.swarm.peers,
                peer_file=folder.peers,
                mdns=config.swarm.mdns,
            )
            swarm = opened = await enter(open_network(portal, identity, public, guard))
            ways.append(Way("open network", await enter(open_bitswap(shelf, opened, guard=guard))))
        if config.retrieval.gateways:
            ways.append(
                Way("trustless gateways", await enter(open_gateways(config.retrieval.gateways, guard=guard)))
            )
        yield Networks(cluster, cluster, members, swarm, StaggeredExchange(ways), gate.admit)


def _listen(host: str, port: int) -> str:
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"
