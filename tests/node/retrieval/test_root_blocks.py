"""Blocks for one request: those that are asked for one by one are read once."""

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.store import MemoryBlockstore
from node.retrieval.root_blocks import RootBlocks, nobody


async def test_the_last_few_blocks_are_remembered():
    store, asked = MemoryBlockstore(), []
    blocks = [Block.of(b"%d" % number) for number in range(17)]
    await store.put_many(blocks)

    async def read(cids):
        asked.extend(cids)
        return await store.get_many(cids)

    content = RootBlocks(Blocks(store, OfflineExchange()), blocks[0].cid, nobody, read)
    for block in (blocks[0], *blocks[:16], blocks[0]):
        assert await content.get(block.cid) == block
    assert asked == [block.cid for block in blocks[:16]]
    for block in (blocks[16], blocks[0]):
        assert await content.get(block.cid) == block
    assert asked[16:] == [blocks[16].cid, blocks[0].cid]
