"""The node put together: `open_node` from top to bottom is the order of life, leaving it the reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from blockstore.disk.staging import Staging
from cluster.calls.member_gc import MemberGc
from node.bandwidth import Bandwidth, bandwidth_of
from node.block_access import BlockAccess, open_blocks, open_store
from node.config.sections import Config
from node.datadir.addresses_file import addresses_published
from node.datadir.folder import DataFolder
from node.denylist.blocks import ServedBlocks
from node.denylist.denylist_files import denylist_folders, open_denylist
from node.http.listeners import Listeners, serve_faces
from node.malloc import tuned_memory
from node.networks import Networks, open_networks
from node.opened_folder import OpenedFolder, open_folder
from node.own_bootstrap import open_own_bootstrap
from node.own_callers import OwnCallers, open_own_callers
from node.own_cluster import OwnCluster, inviter, open_own_cluster
from node.own_names import OwnNames, open_own_names
from node.own_providing import open_own_providing
from node.own_router import OwnRouter, own_router
from node.own_upkeep import OwnUpkeep, open_own_upkeep
from node.parts import Parts
from node.providing.providing import Providing
from node.retrieval.root_blocks import holders_in
from node.services.add import AddService
from node.services.early_offers import EarlyOffers
from node.services.gc_report import collected
from node.services.store_check import StoreCheck


@dataclass(frozen=True, slots=True)
class Node:
    """A running node: its parts, its faces, and what its address file says of where they listen."""

    parts: Parts
    faces: Listeners
    addresses: Mapping[str, object]


@asynccontextmanager
async def open_node(config: Config, folder: DataFolder, *, offline: bool = False) -> AsyncIterator[Node]:
    """Run a node on that data folder for the length of the block. `offline` joins no network.

    When it is entered everything listens and `folder.addresses` says where. Raises StoreLocked, StoreCorrupt,
    BadIdentity, BadClusterFile, PortInUse: all with a text for the user.
    """
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        opened = await enter(open_folder(config, folder))
        await enter(tuned_memory(fast=config.storage.fast_malloc and config.storage.profile != "edge"))
        store = await enter(open_store(opened))
        denylist = await enter(open_denylist(denylist_folders(folder.denylists), opened.guard))
        bandwidth, served = bandwidth_of(config.network.limits), ServedBlocks(store, denylist)
        networks = await enter(open_networks(opened, served, bandwidth, offline=offline))
        access = await enter(open_blocks(opened, store, denylist, networks))
        own = await enter(open_own_cluster(opened, access, networks))
        upkeep = await enter(open_own_upkeep(opened, access, own))
        providing = await enter(open_own_providing(opened, networks, access, own))
        await enter(open_own_bootstrap(opened, networks, own))
        names = await enter(open_own_names(opened, access, networks, own, offline=offline))
        router = own_router(opened, networks, served, own)
        callers = await enter(open_own_callers(opened, own))
        parts = _parts(opened, networks, bandwidth, access, own, upkeep, providing, names, router, callers)
        faces = await enter(serve_faces(parts))  # last in, first out: no request meets a half-closed node
        addresses = _addresses(parts, faces, networks.bulk_addresses)
        await enter(addresses_published(folder.addresses, addresses, opened.ballast))
        yield Node(parts, faces, addresses)


def _parts(
    opened: OpenedFolder,
    networks: Networks,
    bandwidth: Bandwidth,
    access: BlockAccess,
    own: OwnCluster,
    upkeep: OwnUpkeep,
    providing: Providing | None,
    names: OwnNames,
    router: OwnRouter,
    callers: OwnCallers,
) -> Parts:
    cluster, peer = own.cluster, opened.identity.peer_id
    holders = holders_in(cluster)
    return Parts(
        config=opened.config,
        folder=opened.folder.root,
        peer=peer,
        store=access.store,
        blocks=access.blocks,
        staging=Staging(opened.folder.root, opened.config.storage.reserve),
        content=lambda root, in_flight: access.content(root, holders, in_flight),
        kept=access.kept_content,
        add_service=AddService(
            access.store,
            access.blocks,
            access.here,
            cluster,
            cluster.tracking,
            peer,
            EarlyOffers(networks.offer, opened.config.cluster.replication_max),
        ),
        handed_files=callers.handed_files,
        garbage_collection=upkeep.garbage,
        member_gc=MemberGc(cluster.context, partial(collected, upkeep.garbage)),
        store_check=StoreCheck(access.store, access.blocks, holders),
        scrub=upkeep.scrub,
        cluster=cluster,
        pinset=own.pinset,
        invite=inviter(opened, own.pinset),
        swarm=networks.swarm,
        traffic=networks.traffic,
        bandwidth=bandwidth,
        ways=networks.ways,
        bitswap=networks.bitswaps,
        bulk=networks.bulk,
        names=names.open.names,
        publishing=names.open.publishing,
        keys=names.open.keys,
        following=names.following,
        router=router.all_,
        members_router=router.members,
        providing=providing,
        denylist=access.denylist,
        events=own.events,
        webhooks=own.webhooks,
        guard=opened.guard,
        jobs=upkeep.jobs,
        pinning=callers.pinning,
        credentials=callers.credentials,
        audit=callers.audit,
    )


def _addresses(parts: Parts, faces: Listeners, bulk: Sequence[str]) -> Mapping[str, object]:
    """Where this node is reached; commands on this machine find it by that."""
    us = parts.cluster.peers.us()
    return {
        "peer_id": parts.peer,
        "gateway": faces.gateway.url,
        "rpc": faces.rpc.url,
        "api": faces.api.url,
        "swarm": list(us.ipfs.addresses),
        "cluster": list(us.addresses),
        "bulk": list(bulk),
        "pinning": faces.pinning.url,
        **({"metrics": faces.metrics.url} if faces.metrics else {}),
    }
