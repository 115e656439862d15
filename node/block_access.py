"""The block store in the ways that a node looks at it: for pins and readers, fetching or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.block_waiters import BlockWaiters
from blockstore.blocks import Blocks, BlockSource, OfflineExchange
from blockstore.cid import CID
from blockstore.fetch_progress import FetchesInFlight
from blockstore.pinning.local_pinner import LocalPinner, open_local_pins
from blockstore.read_budget import TOTAL_BYTES, ReadBudget
from blockstore.sqlite.cache_views import CachingStore, ClaimingStore
from blockstore.sqlite.file_pages import EDGE, STANDARD
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from node.config.sections import StorageConfig
from node.denylist.blocks import GuardedBlocks, GuardedExchange, GuardedGroups
from node.denylist.denylist import Denylist
from node.networks import Networks
from node.opened_folder import OpenedFolder
from node.retrieval.read_cache import ReadCache, open_shared_reads
from node.retrieval.root_blocks import Holders, RootBlocks, no_holders


@asynccontextmanager
async def open_store(opened: OpenedFolder) -> AsyncIterator[SqliteBlockstore]:
    """Raises StoreCorrupt."""
    storage = opened.config.storage
    async with open_volume_blockstore(
        opened.folder.blocks,
        quota=storage.quota,
        reserve=storage.reserve,
        cache_share=storage.cache_share,
        ballast=opened.ballast,
        tuning=EDGE if storage.profile == "edge" else STANDARD,
        options=volume_options(storage),
    ) as store:
        yield store


def _read_ahead(storage: StorageConfig) -> int:
    """Bytes that all who read ahead share."""
    return TOTAL_BYTES // 4 if storage.profile == "edge" else TOTAL_BYTES


def volume_options(storage: StorageConfig) -> VolumeOptions:
    folders = [Path(folder).expanduser() for folder in storage.folders]
    return VolumeOptions(folders=folders, sync_early=storage.profile != "edge")


@dataclass(frozen=True, slots=True)
class BlockAccess:
    """`blocks` fetches what is missing and keeps it, `cached` lets it go again when room is needed.

    `here` and `kept` fetch nothing: what `here` gives is claimed for a pin, and `kept` only reads.
    """

    store: SqliteBlockstore
    denylist: Denylist
    blocks: Blocks
    cached: Blocks
    here: Blocks
    kept: Blocks
    reads: ReadCache
    pins: LocalPinner

    def content(self, root: CID, holders: Holders, in_flight: FetchesInFlight) -> BlockSource:
        """Blocks of that root's DAG for one request: what is missing is fetched."""
        blocks = RootBlocks(self.cached, root, holders, self.reads.get_many, in_flight)
        return GuardedBlocks(blocks, self.denylist)

    def kept_content(self, root: CID, in_flight: FetchesInFlight) -> BlockSource:
        """Like `content`, of what is here."""
        blocks = RootBlocks(self.kept, root, no_holders, self.reads.get_many, in_flight)
        return GuardedBlocks(blocks, self.denylist)


@asynccontextmanager
async def open_blocks(
    opened: OpenedFolder, store: SqliteBlockstore, denylist: Denylist, networks: Networks
) -> AsyncIterator[BlockAccess]:
    """Raises StoreCorrupt."""
    exchange = GuardedExchange(networks.exchange, denylist)
    waiters, budget = BlockWaiters(networks.on_stored), ReadBudget(_read_ahead(opened.config.storage))
    claiming, caching = ClaimingStore(store), CachingStore(store)
    nothing_fetched = OfflineExchange("it is not here, and nothing is fetched for this host")
    groups = GuardedGroups(networks.groups, denylist)
    blocks = Blocks(claiming, exchange, waiters=waiters, read_budget=budget, groups=groups)
    cached = Blocks(caching, exchange, waiters=waiters, read_budget=budget, groups=groups)
    networks.take_offers(cached, denylist.blocks)
    async with (
        open_local_pins(opened.folder.pins, blocks, store.marks, opened.ballast, store.reserve) as pins,
        open_shared_reads(caching) as reads,
    ):
        yield BlockAccess(
            store=store,
            denylist=denylist,
            blocks=blocks,
            cached=cached,
            here=Blocks(claiming, OfflineExchange(), read_budget=budget),
            kept=Blocks(store, nothing_fetched, read_budget=budget),
            reads=reads,
            pins=pins,
        )
