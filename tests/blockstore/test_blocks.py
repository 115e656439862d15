from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from support.dags import cids, leaf, leaves
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.block_waiters import BlockWaiters
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BlockNotFound, HashMismatch, StorageFull
from blockstore.fetch_progress import FetchProgress
from blockstore.memory_store import MemoryBlockstore


class Stored:
    """Hears what is stored."""

    def __init__(self) -> None:
        self.cids: list[CID] = []

    async def __call__(self, cids: Sequence[CID]) -> None:
        self.cids += cids


async def test_what_is_here_is_not_asked_for() -> None:
    store, remote = MemoryBlockstore(), RemoteBlocks([])
    await store.put_many(leaves(3))
    blocks = Blocks(store, remote)
    assert await blocks.get(leaf(1).cid) == leaf(1)
    assert await blocks.get_many(cids(leaves(3))) == leaves(3)
    assert remote.asked == []


async def test_what_is_missing_is_fetched_stored_announced_and_returned() -> None:
    store, remote, stored = MemoryBlockstore(), RemoteBlocks(leaves(1)), Stored()
    assert await Blocks(store, remote, waiters=BlockWaiters((stored,))).get(leaf(0).cid) == leaf(0)
    assert await store.get(leaf(0).cid) == leaf(0)
    assert stored.cids == [leaf(0).cid]


async def test_missing_blocks_are_fetched_at_the_same_time_and_once_each() -> None:
    store, remote = MemoryBlockstore(), RemoteBlocks(leaves(10))
    await store.put_many(leaves(2))
    asked = [*leaves(10), leaf(9), leaf(0)]
    remote.hold()
    call = asyncio.create_task(Blocks(store, remote).get_many(cids(asked)))
    await remote.until_running(8)
    remote.released.set()
    assert await call == asked
    assert sorted(map(bytes, remote.asked)) == sorted(bytes(block.cid) for block in leaves(8, start=2))


async def test_one_that_nobody_has_ends_the_others_and_says_why() -> None:
    store, remote = MemoryBlockstore(), RemoteBlocks(leaves(5))
    remote.hold()
    with pytest.raises(BlockNotFound, match="the other store has not got it") as caught:
        await Blocks(store, remote).get_many(cids(leaves(6)))
    assert caught.value.cid == leaf(5).cid
    assert (remote.running, remote.withdrawn) == (0, 5)


async def test_cancelling_withdraws_every_fetch_and_keeps_what_came() -> None:
    store, remote = MemoryBlockstore(), RemoteBlocks(leaves(5))
    blocks = Blocks(store, remote)
    await blocks.get(leaf(0).cid)
    remote.hold()
    call = asyncio.create_task(blocks.get_many(cids(leaves(5))))
    await remote.until_running(4)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (remote.running, remote.withdrawn) == (0, 4)
    assert await store.missing(cids(leaves(5))) == cids(leaves(4, start=1))


async def test_a_block_that_does_not_fit_is_not_returned_either() -> None:
    remote, stored = RemoteBlocks(leaves(1)), Stored()
    blocks = Blocks(MemoryBlockstore(quota=10), remote, waiters=BlockWaiters((stored,)))
    with pytest.raises(StorageFull):
        await blocks.get(leaf(0).cid)
    assert stored.cids == []


class Renaming(OfflineExchange):
    """Answers with another name, or with other bytes, than it was asked for."""

    def __init__(self, answer: Block) -> None:
        self._answer = answer

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        return self._answer


async def test_an_answer_under_another_form_of_the_name_takes_the_asked_one() -> None:
    old = Block.of(b"", version=0)
    new = Block(CID.v1(DAG_PB, old.cid.multihash), b"")
    assert await Blocks(MemoryBlockstore(), Renaming(old)).get(new.cid) == new


async def test_an_exchange_that_answers_with_another_block_is_found_out() -> None:
    store = MemoryBlockstore()
    with pytest.raises(HashMismatch):
        await Blocks(store, Renaming(leaf(2))).get(leaf(1).cid)
    assert (await store.usage()).blocks == 0


async def test_a_session_passes_its_hints_on() -> None:
    remote = RemoteBlocks(leaves(1))
    session = Blocks(MemoryBlockstore(), remote).session(leaf(0).cid, ["peer-a", "peer-b"])
    await session.get(leaf(0).cid)
    assert remote.hints == [("peer-a", "peer-b")]


async def test_offline_says_so() -> None:
    exchange = OfflineExchange()
    blocks = Blocks(MemoryBlockstore(), exchange).session(leaf(1).cid)
    with pytest.raises(BlockNotFound, match="offline"):
        await blocks.get(leaf(1).cid)
    await blocks.put_many([leaf(1)])
    assert await blocks.get(leaf(1).cid) == leaf(1)


async def test_a_block_that_is_stored_meanwhile_ends_the_fetch() -> None:
    store, remote, stored = MemoryBlockstore(), RemoteBlocks(leaves(2)), Stored()
    blocks = Blocks(store, remote, waiters=BlockWaiters((stored,)))
    remote.hold()
    waiting = [
        asyncio.create_task(session.get(leaf(0).cid)) for session in (blocks, blocks.session(leaf(1).cid))
    ]
    await remote.until_running(2)
    await blocks.put_many([leaf(0)])
    assert await asyncio.gather(*waiting) == [leaf(0)] * 2
    assert (remote.running, remote.withdrawn) == (0, 2)
    assert stored.cids == [leaf(0).cid]


async def test_a_block_stored_under_another_name_is_given_under_the_one_that_was_asked() -> None:
    store, remote = (
        MemoryBlockstore(),
        RemoteBlocks([Block(CID(1, DAG_PB, leaf(0).cid.multihash), leaf(0).data)]),
    )
    blocks = Blocks(store, remote)
    remote.hold()
    asked = CID(1, DAG_PB, leaf(0).cid.multihash)
    waiting = asyncio.create_task(blocks.get(asked))
    await remote.until_running(1)
    await blocks.put_many([leaf(0)])
    assert await waiting == Block(asked, leaf(0).data)
