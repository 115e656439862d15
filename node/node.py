"""The node put together: `open_node` from top to bottom is the order of life, leaving it the reverse."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from blockstore.cid import CID
from blockstore.common.tasks import background
from blockstore.disk.staging import Staging
from blockstore.errors import BadPath
from blockstore.fetch_progress import FetchesInFlight
from blockstore.path import resolve as path_end
from cluster.calls.member_gc import MemberGc
from node.access.credentials import Credentials
from node.access.tokens import read_tokens
from node.audit.audit_log import AuditLog
from node.bandwidth import Bandwidth, bandwidth_of
from node.block_access import BlockAccess, open_blocks, open_store
from node.config.sections import Config
from node.datadir.addresses_file import addresses_published
from node.datadir.api_secret import made_secret
from node.datadir.folder import DataFolder
from node.datadir.keystore import Keystore
from node.datadir.private_key import PrivateKey
from node.denylist.blocks import ServedBlocks
from node.denylist.denylist_files import denylist_folders, open_denylist
from node.events.job_events import follow_jobs
from node.files.handed_files import HandedFiles, taking_files
from node.http.listeners import Listeners, serve_faces
from node.jobs.drain_jobs import DrainJobs
from node.jobs.job import JobSource
from node.jobs.job_file import JobFile
from node.jobs.jobs import Jobs
from node.jobs.rebalance_jobs import RebalanceJobs
from node.jobs.repair_jobs import RepairJobs
from node.malloc import tuned_memory
from node.names.name import NamePath
from node.names.open_names import OpenNames, open_names
from node.names.surroundings import NameCluster, NameWorld
from node.networks import Networks, open_networks
from node.opened_folder import OpenedFolder, open_folder
from node.own_bootstrap import open_own_bootstrap
from node.own_cluster import OwnCluster, inviter, open_own_cluster
from node.own_providing import open_own_providing
from node.own_router import OwnRouter, own_router
from node.parts import Parts
from node.pinning.request_store import RequestStore, open_request_store
from node.pinning.service import PinningService
from node.providing.providing import Providing
from node.retrieval.root_blocks import holders_in
from node.services.add import AddService
from node.services.auto_collection import AutoCollection, Watermarks
from node.services.damage_repair import DamageRepair
from node.services.early_offers import EarlyOffers
from node.services.following import Following, Resolve
from node.services.gc import GarbageCollection
from node.services.gc_report import collected
from node.services.operator_watch import open_watch
from node.services.scrub import Scrub
from node.services.scrub_job import ScrubJobs
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
        scrub = Scrub(store, folder.scrub, config.storage.scrub_share, opened.guard)
        jobs = Jobs(JobFile(folder.jobs), opened.guard)
        garbage = _garbage_collection(opened, access, own, jobs)
        marks = Watermarks(config.storage.gc_high, config.storage.gc_low)
        automatic = AutoCollection(store, garbage.freeing, marks, opened.guard)
        await enter(_open_services(own, access, scrub, automatic))
        await enter(_open_jobs(jobs, own, ScrubJobs(scrub, store.usage, time.time)))
        providing = await enter(open_own_providing(opened, networks, access, own))
        await enter(open_own_bootstrap(opened, networks, own))
        names = await enter(
            open_names(
                config.names,
                folder.names,
                Keystore(folder.keystore, PrivateKey.from_seed(opened.identity.seed)),
                _name_cluster(opened, networks, own),
                NameWorld(routing=networks.records, offline=offline, guard=opened.guard),
            )
        )
        following = Following(own.cluster, _followed(access, own, names), config.names.follow)
        await enter(background(following.run()))
        router = own_router(opened, networks, served, own)
        requests = await enter(open_request_store(folder.requests, opened.ballast))
        handed = await enter(taking_files(folder.handed_files))
        audit = AuditLog(folder.audit, config.audit.keep_mib << 20)
        stack.callback(audit.close)
        parts = _parts(
            opened,
            networks,
            bandwidth,
            access,
            own,
            names,
            following,
            router,
            providing,
            scrub,
            garbage,
            jobs,
            requests,
            handed,
            audit,
        )
        faces = await enter(serve_faces(parts))  # last in, first out: no request meets a half-closed node
        addresses = _addresses(parts, faces, networks.bulk_addresses)
        await enter(addresses_published(folder.addresses, addresses, opened.ballast))
        yield Node(parts, faces, addresses)


@asynccontextmanager
async def _open_services(
    own: OwnCluster, access: BlockAccess, scrub: Scrub, collection: AutoCollection
) -> AsyncIterator[None]:
    """What goes on without being asked for, beside the cluster's own loops."""
    cluster = own.cluster
    repair = DamageRepair(
        access.store, access.kept, access.pins, cluster.tracking.recover, cluster.context.guard
    )
    async with (
        open_watch(cluster.context, cluster.metrics.live, access.store, cluster.tracking.recover_failed),
        background(repair.run(), scrub.run(), collection.run()),
    ):
        yield


@asynccontextmanager
async def _open_jobs(jobs: Jobs, own: OwnCluster, scrub: JobSource) -> AsyncIterator[None]:
    """Work that is no request's is listed beside that of requests."""
    follow_jobs(own.events, jobs)
    rebalance = RebalanceJobs(own.cluster.rebalancing, jobs.unfinished)
    for source in (DrainJobs(own.cluster), RepairJobs(own.cluster), rebalance, scrub):
        jobs.add_source(source)
    async with background(jobs.run()):
        yield


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


def _garbage_collection(
    opened: OpenedFolder, access: BlockAccess, own: OwnCluster, jobs: Jobs
) -> GarbageCollection:
    cluster = own.cluster
    return GarbageCollection(
        access.store,
        access.pins,
        own.pinset,
        cluster.holders,
        cluster.tracking.removals_done,
        opened.identity.peer_id,
        jobs,
    )


def _parts(
    opened: OpenedFolder,
    networks: Networks,
    bandwidth: Bandwidth,
    access: BlockAccess,
    own: OwnCluster,
    names: OpenNames,
    following: Following,
    router: OwnRouter,
    providing: Providing | None,
    scrub: Scrub,
    garbage: GarbageCollection,
    jobs: Jobs,
    requests: RequestStore,
    handed_files: HandedFiles,
    audit: AuditLog,
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
        handed_files=handed_files,
        garbage_collection=garbage,
        member_gc=MemberGc(cluster.context, partial(collected, garbage)),
        store_check=StoreCheck(access.store, access.blocks, holders),
        scrub=scrub,
        cluster=cluster,
        pinset=own.pinset,
        invite=inviter(opened, own.pinset),
        swarm=networks.swarm,
        traffic=networks.traffic,
        bandwidth=bandwidth,
        ways=networks.ways,
        bitswap=networks.bitswaps,
        bulk=networks.bulk,
        names=names.names,
        publishing=names.publishing,
        keys=names.keys,
        following=following,
        router=router.all_,
        members_router=router.members,
        providing=providing,
        denylist=access.denylist,
        events=own.events,
        webhooks=own.webhooks,
        guard=opened.guard,
        jobs=jobs,
        pinning=PinningService(cluster, requests, lambda: cluster.peers.us().ipfs.addresses),
        credentials=Credentials(made_secret(opened.folder.secret), read_tokens(opened.folder.access)),
        audit=audit,
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
