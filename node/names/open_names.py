"""Names of a node, opened: resolving, publishing, and what goes on for both by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.common.tasks import background, open_tasks
from cluster.common.loops import steadily
from node.config.sections import NamesConfig
from node.datadir.keystore import Keystore
from node.names.dns import DnsServer, TextLookup
from node.names.lookups import Lookups, NoLookups
from node.names.member_routing import MemberRouting
from node.names.member_sync import MemberSync
from node.names.names import Names
from node.names.publishing import Publishing, PublishingContext
from node.names.record_routing import RecordRouting
from node.names.record_store import open_record_store
from node.names.republishing import Republishing
from node.names.static import static_names
from node.names.surroundings import NameCluster, NameWorld


@dataclass(frozen=True, slots=True)
class OpenNames:
    """Where names lead, and names led elsewhere by the keys of this node."""

    names: Names
    publishing: Publishing
    keys: Keystore


@asynccontextmanager
async def open_names(
    settings: NamesConfig, path: Path, keys: Keystore, cluster: NameCluster, world: NameWorld
) -> AsyncIterator[OpenNames]:
    """`path`: the file of records. Raises BadConfig, StoreCorrupt, StoreUnavailable."""
    static = static_names(settings.static, world.environment)
    texts = _texts(settings, offline=world.offline)
    async with open_record_store(path) as store, open_tasks() as tasks:
        members = MemberRouting(cluster.calls, cluster.members, world.now, world.guard)
        records = RecordRouting(store, (members, *world.routing), world.now)
        names = Names(static, records, texts, settings, tasks, world.now, world.guard)
        publishing = Publishing(store, _context(settings, records, names, members, world))
        members.serve(publishing)
        sync = MemberSync(members, publishing, cluster.members.is_trusted, world.guard)
        cluster.calls.on_peer_change(lambda peer, connected: sync.appeared(peer) if connected else None)
        for peer in cluster.calls.peers():
            sync.appeared(peer)
        again = Republishing(store, publishing, keys, cluster, world, settings.republish)
        async with background(
            steadily(world.guard, "asking for published names", "members", sync.turn),
            steadily(world.guard, "publishing again", "names", again.turn),
        ):
            yield OpenNames(names, publishing, keys)


def _texts(settings: NamesConfig, *, offline: bool) -> TextLookup:
    server = DnsServer.parse(settings.resolver) if settings.resolver else None
    return NoLookups() if offline and server is None else Lookups(server, settings.timeout)


def _context(
    settings: NamesConfig, records: RecordRouting, names: Names, members: MemberRouting, world: NameWorld
) -> PublishingContext:
    return PublishingContext(
        newest=records.newest,
        changed=names.changed,
        members=members,
        routers=tuple(world.routing),
        period=settings.republish,
        now=world.now,
        guard=world.guard,
    )
