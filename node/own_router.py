"""What this node answers of who has what: itself and the members first, then whatever its networks ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from bitswap.network import ServedBlockSource
from blockstore.cid import CID, DAG_PB, RAW, SHA2_256
from blockstore.common.group_commit import GroupCommit
from cluster.cluster import Cluster
from cluster.errors import BadUpdate
from cluster.pin import Pin
from node.networks import Networks
from node.opened_folder import OpenedFolder
from node.own_cluster import OwnCluster
from node.routing.joined_router import JoinedRouter
from node.routing.member_router import Addresses, MemberRouter
from node.routing.router import Router

_TOGETHER = 100  # CIDs in one look


@dataclass(frozen=True, slots=True)
class OwnRouter:
    """`members` tells what is known here, at once; `all_` asks the networks too."""

    members: Router
    all_: Router


def own_router(
    opened: OpenedFolder, networks: Networks, served: ServedBlockSource, own: OwnCluster
) -> OwnRouter:
    """Nothing is told of what this node would not serve."""
    held = _Held(opened.identity.peer_id, served, own.cluster)
    members = MemberRouter(held, _addresses(networks, own.cluster))
    return OwnRouter(members, JoinedRouter((members, *networks.routers), opened.guard))


class _Held:
    """Satisfies Holding: what is asked while one look is under way is looked up together by the next."""

    def __init__(self, us: str, served: ServedBlockSource, cluster: Cluster) -> None:
        self._us = us
        self._served = served
        self._cluster = cluster
        self._looks: GroupCommit[CID, Sequence[str]] = GroupCommit(self._look, id, _TOGETHER)

    async def __call__(self, cid: CID) -> Sequence[str]:
        return await self._looks.ask(cid)

    async def _look(self, cids: Sequence[CID]) -> list[Sequence[str]]:
        forms = [_forms(cid) for cid in cids]
        here, pins = await asyncio.gather(self._served.stat(cids), self._pins(forms))
        return [
            [*([self._us] if stat is not None else ()), *self._holders(found)]
            for stat, found in zip(here, pins, strict=True)
        ]

    async def _pins(self, forms: Sequence[Sequence[CID]]) -> list[Sequence[Pin]]:
        """Of each. Where one row is damaged none are known: this node's own blocks are told all the same."""
        try:
            found = iter(await self._cluster.pinset.get_many([cid for some in forms for cid in some]))
        except BadUpdate:
            return [()] * len(forms)
        return [[pin for pin in islice(found, len(some)) if pin is not None] for some in forms]

    def _holders(self, pins: Sequence[Pin]) -> list[str]:
        return [peer for pin in pins for peer in sorted(self._cluster.holders.of(pin))]


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
