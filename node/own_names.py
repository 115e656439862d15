"""Names as this node has them: resolved, published, kept among the members, and followed by pins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.cid import CID
from blockstore.common.tasks import background
from blockstore.errors import BadPath
from blockstore.fetch_progress import FetchesInFlight
from blockstore.path import resolve as path_end
from node.block_access import BlockAccess
from node.datadir.keystore import Keystore
from node.datadir.private_key import PrivateKey
from node.names.name import NamePath
from node.names.open_names import OpenNames, open_names
from node.names.surroundings import NameCluster, NameWorld
from node.networks import Networks
from node.opened_folder import OpenedFolder
from node.own_cluster import OwnCluster
from node.retrieval.root_blocks import holders_in
from node.services.following import Following, Resolve


@dataclass(frozen=True, slots=True)
class OwnNames:
    """`following` keeps what names lead to pinned."""

    open: OpenNames
    following: Following


@asynccontextmanager
async def open_own_names(
    opened: OpenedFolder, access: BlockAccess, networks: Networks, own: OwnCluster, *, offline: bool
) -> AsyncIterator[OwnNames]:
    config, folder = opened.config.names, opened.folder
    keys = Keystore(folder.keystore, PrivateKey.from_seed(opened.identity.seed))
    world = NameWorld(routing=networks.records, offline=offline, guard=opened.guard)
    cluster = _name_cluster(opened, networks, own)
    async with open_names(config, folder.names, keys, cluster, world) as names:
        following = Following(own.cluster, _followed(access, own, names), config.follow)
        async with background(following.run()):
            yield OwnNames(names, following)


def _name_cluster(opened: OpenedFolder, networks: Networks, own: OwnCluster) -> NameCluster:
    return NameCluster(
        opened.identity.peer_id, networks.members, own.pinset.members, own.cluster.metrics.live
    )


def _followed(access: BlockAccess, own: OwnCluster, names: OpenNames) -> Resolve:
    """Where a path of a name leads, the blocks on the way fetched."""
    holders = holders_in(own.cluster)

    async def resolve(path: NamePath) -> CID:
        content = (await names.names.resolve(path)).path
        found = await path_end(access.content(content.root, holders, FetchesInFlight()), content)
        if found.remainder:
            raise BadPath(f"{path} leads to a field inside {found.cid}: only whole blocks can be pinned")
        return found.cid

    return resolve
