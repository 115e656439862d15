"""Blocks for one request: what is asked for one by one is read once, and so is the store on a miss."""

from __future__ import annotations

from collections.abc import Sequence

from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID
from blockstore.memory_store import MemoryBlockstore
from node.retrieval.root_blocks import RootBlocks, no_holders

BLOCKS = [Block.of(b"%d" % number) for number in range(17)]
CIDS = [block.cid for block in BLOCKS]


class CountingStore(MemoryBlockstore):
    """Knows what was read of it, read by read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[list[CID]] = []

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        self.reads.append(list(cids))
        return await super().get_many(cids)


async def test_the_last_few_blocks_are_remembered() -> None:
    store = CountingStore()
    await store.put_many(BLOCKS)
    content = RootBlocks(Blocks(store, OfflineExchange()), CIDS[0], no_holders)
    for block in (BLOCKS[0], *BLOCKS[:16], BLOCKS[0]):
        assert await content.get(block.cid) == block
    assert store.reads == [[cid] for cid in CIDS[:16]]
    for block in (BLOCKS[16], BLOCKS[0]):
        assert await content.get(block.cid) == block
    assert store.reads[16:] == [[CIDS[16]], [CIDS[0]]]


async def test_a_miss_reads_the_store_once_and_fetches_only_what_it_lacks() -> None:
    store, remote = CountingStore(), RemoteBlocks(BLOCKS)
    await store.put_many(BLOCKS[:8])
    content = RootBlocks(Blocks(store, remote), CIDS[0], no_holders)
    asked = [*CIDS, CIDS[9], CIDS[0]]
    assert await content.get_many(asked) == [*BLOCKS, BLOCKS[9], BLOCKS[0]]
    assert store.reads == [asked]
    assert sorted(map(bytes, remote.asked)) == sorted(map(bytes, CIDS[8:]))
    assert await store.missing(CIDS) == []


async def test_who_holds_a_root_is_looked_up_once_and_only_for_what_is_missing() -> None:
    store, remote, looked_up = CountingStore(), RemoteBlocks(BLOCKS), []
    await store.put_many(BLOCKS[:1])

    async def holders(root: CID) -> Sequence[str]:
        looked_up.append(root)
        return ("a member",)

    content = RootBlocks(Blocks(store, remote), CIDS[0], holders)
    await content.get(CIDS[0])
    assert looked_up == []
    await content.get_many(CIDS[1:3])
    await content.get(CIDS[3])
    assert looked_up == [CIDS[0]]
    assert remote.hints == [("a member",)] * 3
