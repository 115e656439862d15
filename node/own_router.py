"""What this node answers of who has what: itself and the members first, then whatever its networks ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitswap.network import ServedBlockSource
from blockstore.cid import CID, DAG_PB, RAW, SHA2_256
from cluster.cluster import Cluster
from cluster.errors import BadUpdate
from node.networks import Networks
from node.opened_folder import OpenedFolder
from node.own_cluster import OwnCluster
from node.routing.joined_router import JoinedRouter
from node.routing.member_router import Addresses, Holding, MemberRouter
from node.routing.router import Router


@dataclass(frozen=True, slots=True)
class OwnRouter:
    """`members` tells what is known here, at once; `all_` asks the networks too."""

    members: Router
    all_: Router


def own_router(
    opened: OpenedFolder, networks: Networks, served: ServedBlockSource, own: OwnCluster
) -> OwnRouter:
    """Nothing is told of what this node would not serve."""
    holding = _holding(opened.identity.peer_id, served, own.cluster)
    members = MemberRouter(holding, _addresses(networks, own.cluster))
    return OwnRouter(members, JoinedRouter((members, *networks.routers), opened.guard))


def _holding(us: str, served: ServedBlockSource, cluster: Cluster) -> Holding:
    async def holding(cid: CID) -> Sequence[str]:
        here = [us] if (await served.stat([cid]))[0] is not None else []
        try:
            pins = await cluster.pinset.get_many(_forms(cid))
        except BadUpdate:  # a damaged row of the pinset: this node's own blocks are known all the same
            return here
        return [*here, *(peer for pin in pins if pin is not None for peer in sorted(cluster.holders.of(pin)))]

    return holding


def _forms(cid: CID) -> list[CID]:
    """CIDs of the same block under which a pin is usual."""
    forms = [cid, CID.v1(DAG_PB, cid.multihash), CID.v1(RAW, cid.multihash)]
    if cid.hash_code == SHA2_256 and len(cid.digest) == 32:
        forms.append(CID.v0(cid.multihash))
    return list(dict.fromkeys(forms))


def _addresses(networks: Networks, cluster: Cluster) -> Addresses:
    """As the open network knows a peer, else as a member says of itself."""
    swarm = networks.swarm

    def addresses(peer: str) -> Sequence[str]:
        known = swarm.addresses(peer) if swarm is not None else ()
        said = cluster.ping_of(peer)
        return known or (said.ipfs_addresses if said.ipfs_id == peer else ())

    return addresses
