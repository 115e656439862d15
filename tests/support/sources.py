"""Block sources for tests of readers: a store in memory that remembers what was asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound
from blockstore.memory_store import MemoryBlockstore
from blockstore.read_budget import ReadBudget


class RecordingSource:
    """Blocks of a store, offline. `asked` has every CID that was wanted; `requests` how many at a time."""

    def __init__(self, store: MemoryBlockstore) -> None:
        self.store = store
        self.read_budget = ReadBudget()
        self.asked: list[CID] = []
        self.requests: list[int] = []

    async def get(self, cid: CID) -> Block:
        return (await self.get_many([cid]))[0]

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        self.asked += cids
        self.requests.append(len(cids))
        found = []
        for cid, block in zip(cids, await self.store.get_many(cids), strict=True):
            if block is None:
                raise BlockNotFound(cid)
            found.append(block)
        return found


async def source_of(*blocks: Block) -> RecordingSource:
    store = MemoryBlockstore()
    await store.put_many(blocks)
    return RecordingSource(store)


async def joined(pieces: AsyncIterable[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])
