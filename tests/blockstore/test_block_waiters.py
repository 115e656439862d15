"""Who waits for a block hears when it comes on another way."""

from __future__ import annotations

import asyncio

from blockstore.block import Block
from blockstore.block_waiters import BlockWaiters
from blockstore.cid import DAG_PB

BLOCK = Block.of(b"")


async def test_who_has_left_does_not_keep_others_from_hearing() -> None:
    waiters = BlockWaiters()
    with waiters.expected(BLOCK.cid) as first, waiters.expected(BLOCK.cid) as second:
        first.cancel()
        await waiters.on_stored([BLOCK])
        assert await second == BLOCK


async def test_a_block_is_heard_of_whatever_codec_it_is_asked_for_with() -> None:
    waiters = BlockWaiters()
    with waiters.expected(Block.of(b"", DAG_PB).cid) as arrival:
        await waiters.on_stored([Block.of(b"other")])
        await asyncio.sleep(0)
        assert not arrival.done()
        await waiters.on_stored([BLOCK])
        assert await arrival == BLOCK
