"""The denylist between what is here and who asks: blocks served to peers, fetched from them, and read."""

from __future__ import annotations

from collections.abc import Sequence

from blockstore.block import Block
from blockstore.blocks import Exchange
from blockstore.cid import CID
from blockstore.fetch_report import FetchReport
from blockstore.store import Blockstore, StoreStat
from node.denylist.denylist import Denylist
from node.retrieval.deadline_blocks import Source


class ServedBlocks:
    """What Bitswap gives to peers: a blocked block is not here. Satisfies bitswap's Shelf."""

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

    async def fetch(self, cid: CID, hints: Sequence[str] = ()) -> Block:
        """Raises ContentBlocked, BlockNotFound."""
        self._denylist.check_cid(cid)
        return await self._exchange.fetch(cid, hints)

    async def announce(self, cids: Sequence[CID]) -> None:
        await self._exchange.announce(cids)

    def inquiries(self, cid: CID) -> tuple[FetchReport, ...]:
        return self._exchange.inquiries(cid)

    def session(self, root: CID) -> GuardedExchange:
        return GuardedExchange(self._exchange.session(root), self._denylist)


class GuardedBlocks:
    """A Source that answers no blocked block, be it here or elsewhere."""

    def __init__(self, source: Source, denylist: Denylist) -> None:
        self._source = source
        self._denylist = denylist

    async def get(self, cid: CID) -> Block:
        """Raises ContentBlocked, BlockNotFound."""
        self._denylist.check_cid(cid)
        return await self._source.get(cid)

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        """Raises ContentBlocked, BlockNotFound."""
        for cid in cids:
            self._denylist.check_cid(cid)
        return await self._source.get_many(cids)

    def inquiries(self, cid: CID) -> tuple[FetchReport, ...]:
        return self._source.inquiries(cid)
