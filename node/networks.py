"""The networks of a node and the exchange over them, nearest first; none of it when it runs offline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import inf

from bitswap.exchange import BitswapSettings, open_bitswap
from bitswap.network import ServedBlockSource
from bitswap.serving.work_limits import WorkRates
from blockstore.block_waiters import StoredListener
from blockstore.blocks import Exchange, OfflineExchange
from blockstore.common.guard import Guard
from cluster.common.methods import METHODS, Access
from cluster.ports import ClusterNetwork, Gossip, PeerCalls
from node.config.config import Config
from node.datadir.cluster_file import ClusterFile
from node.datadir.folder import DataFolder
from node.datadir.identity import Identity
from node.offline_network import NoNetwork
from node.parts import Swarm
from node.retrieval.gateway_pool import open_gateways
from node.retrieval.hedged_exchange import HedgedExchange, Route

OPEN_CALLS = tuple(method.name for method in METHODS if method.access is Access.ANYONE)
"""What a peer may call that is no member, as far as is known here: to show an invitation, or its grant."""


_MEMBERS = BitswapSettings(rates=WorkRates(abuse=inf))  # a member is held back, and never hung up on for that


@dataclass(frozen=True, slots=True)
class Networks:
    """`admit` takes the members: they may speak from then on, and nobody else may.

    `swarm` is None while the open network is off. `on_stored` are to hear of each block that is stored.
    """

    gossip: Gossip
    calls: ClusterNetwork
    members: PeerCalls  # the same, where only members are connected
    swarm: Swarm | None
    exchange: Exchange
    on_stored: tuple[StoredListener, ...]
    admit: Callable[[Iterable[str]], None]


@asynccontextmanager
async def open_networks(
    config: Config,
    folder: DataFolder,
    identity: Identity,
    belonging: ClusterFile,
    shelf: ServedBlockSource,
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
        yield Networks(nobody, nobody, nobody, None, OfflineExchange(), (), lambda members: None)
        return
    # Late: libp2p is most of what a node imports, and only this needs it.
    from node.p2p.admission.gate import MembersGate
    from node.p2p.members_network import MembersNetwork
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
        bitswaps = [await enter(open_bitswap(shelf, members, guard=guard))]
        ways = [Route("cluster", bitswaps[0])]
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
            bitswaps.append(await enter(open_bitswap(shelf, opened, guard=guard)))
            ways.append(Route("open network", bitswaps[-1]))
        if urls := config.retrieval.gateways:
            ways.append(Route("trustless gateways", await enter(open_gateways(urls, guard=guard))))
        on_stored = tuple(bitswap.on_stored for bitswap in bitswaps)
        yield Networks(cluster, cluster, members, swarm, HedgedExchange(ways), on_stored, gate.admit)


def _listen(host: str, port: int) -> str:
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"
