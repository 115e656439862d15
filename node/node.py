"""The node put together: `open_node` from top to bottom is the order of life, leaving it the reverse."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from blockstore.block_waiters import BlockWaiters
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from blockstore.disk.ballast import open_ballast
from blockstore.disk.folder_lock import hold_lock
from blockstore.disk.staging import Staging
from blockstore.pinning.local_pinner import open_local_pins
from blockstore.read_budget import ReadBudget
from blockstore.sqlite.cache_views import CachingStore, ClaimingStore
from blockstore.sqlite.database import open_database
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from cluster.assembly import LocalNode, open_cluster
from cluster.calls.node_info import IpfsInfo
from cluster.common.names import as_name
from cluster.context import ClusterContext
from cluster.errors import BadInvite
from cluster.interfaces import Role
from cluster.members import record_store
from cluster.members.invite import Invite
from cluster.pinset import schema as pinset_schema
from cluster.ports import Capacity, CapacityInformer
from cluster.replication.open_pinset import PinsetSettings, Surroundings, open_pinset
from cluster.replication.replicated_pinset import ReplicatedPinset
from cluster.settings import ClusterSettings
from cluster.tracking import attempt_store
from cluster.tracking.attempt_store import SqliteAttempts
from node.config.config import ClusterConfig, Config
from node.datadir import identity as keys
from node.datadir.addresses_file import addresses_published
from node.datadir.api_secret import made_secret
from node.datadir.cluster_file import ClusterFile
from node.datadir.folder import DataFolder
from node.datadir.permissions import close_to_others
from node.denylist.blocks import GuardedBlocks, GuardedExchange, ServedBlocks
from node.denylist.files import denylist_folders, open_denylist
from node.http.listeners import Listeners, serve_faces
from node.malloc import tuned_memory
from node.names.names import open_names
from node.networks import Networks, open_networks
from node.parts import Inviter, Parts
from node.retrieval.read_cache import open_shared_reads
from node.retrieval.root_blocks import RootBlocks, holders_in, no_holders
from node.services.add import AddService
from node.services.damage_repair import DamageRepair
from node.services.gc import GarbageCollection
from node.services.local_pins import ClusterLocalPins
from node.services.operator_watch import open_watch
from node.version import CLUSTER_VERSION

_log = logging.getLogger(__name__)


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
        stack.enter_context(hold_lock(folder.lock))
        close_to_others(folder)
        ballast = await enter(open_ballast(folder.ballast))
        await enter(tuned_memory(fast=config.storage.fast_malloc))
        identity = keys.load(folder.identity)
        belonging = ClusterFile.read(folder.cluster)
        name = config.cluster.peer_name or as_name(socket.gethostname())
        guard = Guard()

        storage = config.storage
        store = await enter(
            open_sqlite_blockstore(
                folder.blocks,
                quota=storage.quota,
                reserve=storage.reserve,
                cache_share=storage.cache_share,
                ballast=ballast,
            )
        )
        denylist = await enter(open_denylist(denylist_folders(folder.denylists), guard))
        shelf = ServedBlocks(store, denylist)
        networks = await enter(
            open_networks(config, folder, identity, belonging, shelf, guard, offline=offline)
        )
        exchange = GuardedExchange(networks.exchange, denylist)
        waiters, budget = BlockWaiters(networks.on_stored), ReadBudget()
        blocks = Blocks(ClaimingStore(store), exchange, waiters=waiters, read_budget=budget)
        local_pins = await enter(open_local_pins(folder.pins, blocks, store.marks, ballast))
        pins = ClusterLocalPins(local_pins)

        database = await enter(
            open_database(
                folder.pinset,
                pragmas=pinset_schema.PRAGMAS,
                schema=pinset_schema.SCHEMA + record_store.SCHEMA + attempt_store.SCHEMA,
                remedy=pinset_schema.REMEDY,
                ballast=ballast,
            )
        )
        pinset = await enter(
            open_pinset(
                database,
                belonging.genesis,
                identity,
                networks.calls,
                invite=belonging.invite,
                settings=PinsetSettings(name, config.cluster.batch_size, config.cluster.batch_age),
                surroundings=Surroundings(guard=guard),
            )
        )
        _keep_admitted(pinset, networks)
        if belonging.invite is not None:
            await enter(background(_drop_used_token(pinset, belonging, folder)))
        cluster = await enter(
            open_cluster(
                ClusterContext(
                    peer=identity.peer_id,
                    name=name,
                    cluster_id=belonging.genesis.cluster_id,
                    pinset=pinset,
                    members=pinset.members,
                    calls=networks.calls,
                    settings=_cluster_settings(config.cluster),
                    now=time.time,
                    guard=guard,
                ),
                LocalNode(
                    version=CLUSTER_VERSION,
                    ipfs=lambda: _on_open_network(networks),
                    pins=pins,
                    attempts=SqliteAttempts(database),
                    capacity=_capacity(store),
                ),
                networks.gossip,
                identity,
            )
        )

        await enter(open_watch(cluster.context, cluster.metrics.live, store))
        mending = DamageRepair(store, local_pins, cluster.tracking.recover, guard)
        await enter(background(mending.run()))
        names = await enter(
            open_names(
                config.names, folder.names, networks.members, pinset.members, offline=offline, guard=guard
            )
        )

        holders = holders_in(cluster)
        caching = CachingStore(store)
        read = Blocks(caching, exchange, waiters=waiters, read_budget=budget)
        reads = await enter(open_shared_reads(caching))
        nothing_fetched = OfflineExchange("it is not here, and nothing is fetched for this host")
        kept = Blocks(store, nothing_fetched, read_budget=budget)
        parts = Parts(
            config=config,
            peer=identity.peer_id,
            store=store,
            blocks=blocks,
            staging=Staging(folder.root, storage.reserve),
            content=lambda root, in_flight: GuardedBlocks(
                RootBlocks(read, root, holders, reads.get_many, in_flight), denylist
            ),
            kept=lambda root, in_flight: GuardedBlocks(
                RootBlocks(kept, root, no_holders, reads.get_many, in_flight), denylist
            ),
            adding=AddService(
                store,
                blocks,
                Blocks(ClaimingStore(store), OfflineExchange()),
                cluster,
                cluster.tracking,
                identity.peer_id,
            ),
            collecting=GarbageCollection(store, local_pins, pinset, cluster.holders, identity.peer_id),
            cluster=cluster,
            pinset=pinset,
            invite=_inviter(pinset, belonging, config.cluster),
            swarm=networks.swarm,
            names=names,
            denylist=denylist,
            guard=guard,
            secret=made_secret(folder.secret),
        )
        faces = await enter(serve_faces(parts))  # last in, first out: no request meets a half-closed node
        addresses = _addresses(parts, faces)
        await enter(addresses_published(folder.addresses, addresses, ballast))
        yield Node(parts, faces, addresses)


def _addresses(parts: Parts, faces: Listeners) -> Mapping[str, object]:
    """Where this node is reached; commands on this machine find it by that."""
    us = parts.cluster.peers.us()
    return {
        "peer_id": parts.peer,
        "gateway": faces.gateway.url,
        "rpc": faces.rpc.url,
        "api": faces.api.url,
        "swarm": list(us.ipfs.addresses),
        "cluster": list(us.addresses),
    }


def _keep_admitted(pinset: ReplicatedPinset, networks: Networks) -> None:
    """Whoever is listed as a member may speak on the members' network, and nobody else."""

    def admit(_records: Sequence[bytes] = ()) -> None:
        networks.admit(member.peer for member in pinset.members.members())

    pinset.members.on_records(admit)
    admit()


async def _drop_used_token(pinset: ReplicatedPinset, belonging: ClusterFile, folder: DataFolder) -> None:
    """Once this node is a member."""
    await pinset.standing.joined.wait()
    try:
        await asyncio.to_thread(belonging.without_token().write, folder.cluster)
    except OSError as error:  # a full disk: it goes at the next start
        _log.warning("the used join token stays in %s: %s", folder.cluster, error)


def _cluster_settings(config: ClusterConfig) -> ClusterSettings:
    tags = (tag.partition("=") for tag in config.tags)
    return ClusterSettings(
        replication_min=config.replication_min,
        replication_max=config.replication_max,
        allocate_by=config.allocate_by,
        tags=tuple((key, value) for key, _, value in tags),
        concurrent_pins=config.concurrent_pins,
        pin_timeout=config.pin_timeout,
        reconcile_interval=config.reconcile_interval,
        metric_interval=config.metric_interval,
        repin_grace=config.repin_grace,
    )


def _capacity(store: SqliteBlockstore) -> CapacityInformer:
    async def capacity() -> Capacity:
        usage = await store.usage()
        return Capacity(free=usage.free, used=usage.bytes, quota=usage.quota)

    return capacity


def _on_open_network(networks: Networks) -> IpfsInfo:
    swarm = networks.swarm
    if swarm is None:
        return IpfsInfo()
    return IpfsInfo(swarm.self_id, tuple(swarm.addresses(swarm.self_id)), swarm.peers())


def _inviter(pinset: ReplicatedPinset, belonging: ClusterFile, config: ClusterConfig) -> Inviter:
    async def invite(role: Role, lifetime: float) -> Invite:
        made = await pinset.invite(belonging.secret, role, lifetime, config.announce)
        if not made.addresses:
            raise BadInvite(
                "this node joins no network, so no machine could join at it: start it without --offline, "
                "or set cluster.announce"
            )
        return made

    return invite
