"""The denylist between what is here and who asks: blocks served to peers, fetched from them, and read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from blockstore.block import Block
from blockstore.blocks import BlockSource, Exchange, GroupSource
from blockstore.cid import CID
from blockstore.fetch_progress import FetchProgress
from blockstore.read_budget import ReadBudget
from blockstore.store import Blockstore, StoreStat
from node.denylist.denylist import Denylist


class ServedBlocks:
    """What Bitswap gives to peers: a blocked block is not here. Satisfies bitswap's ServedBlockSource."""

    def __init__(self, store: Blockstore, denylist: Denylist) -> None:
        self._store = store
        self._denylist = denylist

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        found = await self._store.get_many(cids)
        return [None if self._denylist.blocks(cid) else block for cid, block in zip(cids, found, strict=True)]

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        found = await self._store.stat(cids)
        return [None if self._denylist.blocks(cid) else stat for cid, stat in zip(cids, found, strict=True)]


class GuardedExchange:
    """An Exchange that never asks for a blocked block."""

    def __init__(self, exchange: Exchange, denylist: Denylist) -> None:
        self._exchange = exchange
        self._denylist = denylist

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """Raises ContentBlocked, BlockNotFound."""
        self._denylist.check_cid(cid)
        return await self._exchange.fetch(cid, hints, progress)

    def session(self, root: CID) -> GuardedExchange:
        return GuardedExchange(self._exchange.session(root), self._denylist)


class GuardedGroups:
    """A GroupSource that never asks for a blocked block."""

    def __init__(self, groups: GroupSource, denylist: Denylist) -> None:
        self._groups = groups
        self._denylist = denylist

    def fetch_groups(self, cids: Sequence[CID], hints: Sequence[str]) -> AsyncGenerator[Sequence[Block]]:
        """Blocked ones are left out; asking the exchange for one says why."""
        return self._groups.fetch_groups([cid for cid in cids if not self._denylist.blocks(cid)], hints)

    def session(self, root: CID) -> GuardedGroups:
        return GuardedGroups(self._groups.session(root), self._denylist)


class GuardedBlocks:
    """A BlockSource that answers no blocked block, be it here or elsewhere."""

    def __init__(self, source: BlockSource, denylist: Denylist) -> None:
        self._source = source
        self._denylist = denylist

    @property
    def read_budget(self) -> ReadBudget:
        return self._source.read_budget

    async def get(self, cid: CID) -> Block:
        """Raises ContentBlocked, BlockNotFound."""
        self._denylist.check_cid(cid)
        return await self._source.get(cid)

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        """Raises ContentBlocked, BlockNotFound."""
        for cid in cids:
            self._denylist.check_cid(cid)
        return await self._source.get_many(cids)
