"""What this node tells the DHT, by the setting `provide.strategy`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cluster.cluster import Cluster
from node.block_access import BlockAccess
from node.networks import Networks
from node.opened_folder import OpenedFolder
from node.own_cluster import OwnCluster
from node.providing.content import AllContent, PinnedContent, ProvidedContent, RootContent, ServedContent
from node.providing.providing import Providing, open_providing
from node.providing.sharing import Sharing


@asynccontextmanager
async def open_own_providing(
    opened: OpenedFolder, networks: Networks, access: BlockAccess, own: OwnCluster
) -> AsyncIterator[Providing | None]:
    """None where there is no DHT, or it is told nothing. Raises StoreCorrupt, StoreUnavailable."""
    strategy = opened.config.provide.strategy
    if networks.dht is None or strategy == "none":
        yield None
        return
    content = ServedContent(_content(strategy, access, own.cluster), access.denylist.blocks)
    path, guard = opened.folder.provide, opened.guard
    async with open_providing(networks.dht, path, content, strategy, guard) as providing:
        access.pins.on_complete(providing.completed)
        yield providing


def _content(strategy: str, access: BlockAccess, cluster: Cluster) -> ProvidedContent:
    if strategy == "all":
        return AllContent(access.store)
    roots = RootContent(access.pins, _sharing(cluster))
    return roots if strategy == "roots" else PinnedContent(roots, access.pins, access.kept)


def _sharing(cluster: Cluster) -> Sharing:
    def providing() -> frozenset[str]:
        return frozenset(peer for peer in cluster.metrics.live() if cluster.ping_of(peer).provides)

    return Sharing(cluster.context.peer, cluster.pinset, cluster.holders.of, providing)
