"""This node as a member of its cluster: the pinset in its database, and the cluster over it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.common.tasks import background
from blockstore.sqlite.database import SqliteDatabase, open_database
from blockstore.upkeep import LocalStore
from cluster.assembly import LocalNode, open_cluster
from cluster.calls.node_info import IpfsInfo
from cluster.cluster import Cluster
from cluster.context import ClusterContext
from cluster.errors import BadInvite
from cluster.interfaces import Role
from cluster.members import record_store
from cluster.members.invite import Invite
from cluster.pinset.tables import migrations
from cluster.pinset.tables import schema as pinset_schema
from cluster.pinset.tables.live_entries import MemberQuota
from cluster.ports import Capacity, CapacityInformer
from cluster.replication.log_cutter import LogRetention
from cluster.replication.open_pinset import PinsetSettings, Surroundings, open_pinset
from cluster.replication.replicated_pinset import ReplicatedPinset
from cluster.settings import ClusterSettings
from cluster.tracking import attempt_store
from cluster.tracking.attempt_store import SqliteAttempts
from node.block_access import BlockAccess
from node.config.sections import ClusterConfig
from node.events.feed import EventFeed
from node.events.sources import followed
from node.networks import Networks
from node.opened_folder import OpenedFolder
from node.parts import Inviter
from node.services.local_pins import ClusterLocalPins
from node.version import CLUSTER_VERSION
from node.webhooks.webhook import Webhook
from node.webhooks.webhooks import open_webhooks

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnCluster:
    """The cluster as its faces use it, the pinset below it, what happens in both, and who is told."""

    cluster: Cluster
    pinset: ReplicatedPinset
    events: EventFeed
    webhooks: Sequence[Webhook]


@asynccontextmanager
async def open_own_cluster(
    opened: OpenedFolder, access: BlockAccess, networks: Networks
) -> AsyncIterator[OwnCluster]:
    """Raises StoreCorrupt, and LaterRelease."""
    async with (
        _open_database(opened) as database,
        _open_pinset(opened, database, networks) as pinset,
        background(_drop_used_token(opened, pinset)),
        open_cluster(
            _context(opened, pinset, networks),
            _local_node(opened, access, database, networks),
            networks.gossip,
            opened.identity,
        ) as cluster,
    ):
        events = followed(cluster, pinset)
        async with open_webhooks(opened.config.webhooks, events, opened.guard) as webhooks:
            yield OwnCluster(cluster, pinset, events, webhooks)


@asynccontextmanager
async def _open_database(opened: OpenedFolder) -> AsyncIterator[SqliteDatabase]:
    async with open_database(
        opened.folder.pinset,
        pragmas=pinset_schema.PRAGMAS,
        prepare=migrations.prepare,
        schema=pinset_schema.SCHEMA + record_store.SCHEMA + attempt_store.SCHEMA,
        remedy=pinset_schema.REMEDY,
        ballast=opened.ballast,
    ) as database:
        yield database


@asynccontextmanager
async def _open_pinset(
    opened: OpenedFolder, database: SqliteDatabase, networks: Networks
) -> AsyncIterator[ReplicatedPinset]:
    config = opened.config.cluster
    async with open_pinset(
        database,
        opened.cluster_file.genesis,
        opened.identity,
        networks.calls,
        invite=opened.cluster_file.invite,
        settings=PinsetSettings(
            opened.name,
            config.batch_size,
            retention=_retention(config),
            quota=_quota(config),
            bulk=networks.bulk_addresses,
        ),
        surroundings=Surroundings(guard=opened.guard),
    ) as pinset:
        _keep_admitted(pinset, networks)
        yield pinset


def _retention(config: ClusterConfig) -> LogRetention:
    return LogRetention(config.log_keep_mib << 20, config.log_keep_days * 86400)


def _quota(config: ClusterConfig) -> MemberQuota:
    return MemberQuota(config.member_pins, config.member_mib << 20)


def _keep_admitted(pinset: ReplicatedPinset, networks: Networks) -> None:
    """Peers on the member list may speak on the members' network, and no others."""

    def admit(_records: Sequence[bytes] = ()) -> None:
        networks.admit(pinset.members.members())

    pinset.members.on_records(admit)
    admit()


async def _drop_used_token(opened: OpenedFolder, pinset: ReplicatedPinset) -> None:
    """Once this node is a member."""
    if opened.cluster_file.invite is None:
        return
    await pinset.standing.joined.wait()
    try:
        await asyncio.to_thread(opened.cluster_file.without_token().write, opened.folder.cluster)
    except OSError as error:  # a full disk: it goes at the next start
        _log.warning("the used join token stays in %s: %s", opened.folder.cluster, error)


def _context(opened: OpenedFolder, pinset: ReplicatedPinset, networks: Networks) -> ClusterContext:
    return ClusterContext(
        peer=opened.identity.peer_id,
        name=opened.name,
        cluster_id=opened.cluster_file.genesis.cluster_id,
        pinset=pinset,
        members=pinset.members,
        calls=networks.calls,
        settings=_settings(opened.config.cluster),
        now=time.time,
        guard=opened.guard,
    )


def _settings(config: ClusterConfig) -> ClusterSettings:
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
        repin_rate=config.repin_rate,
    )


def _local_node(
    opened: OpenedFolder, access: BlockAccess, database: SqliteDatabase, networks: Networks
) -> LocalNode:
    return LocalNode(
        version=CLUSTER_VERSION,
        ipfs=lambda: _on_open_network(networks, provides=opened.config.provide.strategy != "none"),
        pins=ClusterLocalPins(access.pins, networks.swarm.visit if networks.swarm else None),
        attempts=SqliteAttempts(database),
        capacity=_capacity(access.store),
    )


def _on_open_network(networks: Networks, *, provides: bool) -> IpfsInfo:
    swarm = networks.swarm
    if swarm is None:
        return IpfsInfo()
    addresses, provides = tuple(swarm.addresses(swarm.self_id)), provides and networks.dht is not None
    return IpfsInfo(swarm.self_id, addresses, swarm.peers(), provides)


def _capacity(store: LocalStore) -> CapacityInformer:
    async def capacity() -> Capacity:
        usage = await store.usage()
        return Capacity(free=usage.free, used=usage.bytes, quota=usage.quota)

    return capacity


def inviter(opened: OpenedFolder, pinset: ReplicatedPinset) -> Inviter:
    """Makes join tokens of this cluster."""
    secret, announce = opened.cluster_file.secret, opened.config.cluster.announce

    async def invite(role: Role, lifetime: float) -> Invite:
        made = await pinset.invite(secret, role, lifetime, announce)
        if not made.addresses:
            raise BadInvite(
                "this node joins no network, so no machine could join at it: start it without --offline, "
                "or set cluster.announce"
            )
        return made

    return invite
