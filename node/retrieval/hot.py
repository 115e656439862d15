"""Small blocks that were asked for lately, in memory: a popular page costs no trip to the database."""

from __future__ import annotations

from collections import OrderedDict

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.store import Blockstore

MAX_BYTES = 8 * 1024 * 1024
MAX_BLOCK = 64 * 1024


class HotBlocks:
    """At most MAX_BYTES, the least recently used go first.

    Blocks never change, so nothing here is ever wrong; one that the store has collected since may be served
    until it is pushed out.
    """

    def __init__(self, store: Blockstore) -> None:
        self._store = store
        self._blocks: OrderedDict[CID, Block] = OrderedDict()
        self._bytes = 0

    async def get(self, cid: CID) -> Block | None:
        """From memory or from the store; None where it is in neither."""
        if block := self._blocks.get(cid):
            self._blocks.move_to_end(cid)
            return block
        (block,) = await self._store.get_many([cid])
        if block is not None and len(block.data) <= MAX_BLOCK:
            self._keep(block)
        return block

    def _keep(self, block: Block) -> None:
        if block.cid not in self._blocks:
            self._blocks[block.cid] = block
            self._bytes += len(block.data)
        while self._bytes > MAX_BYTES:
            _, oldest = self._blocks.popitem(last=False)
            self._bytes -= len(oldest.data)
