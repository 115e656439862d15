"""Blocks that come one by one: stored in groups, and none lost or refused because of its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from support.dags import cids, leaf, leaves
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.errors import BlockNotFound, StorageFull
from blockstore.grouped_puts import GroupedPuts
from blockstore.memory_store import MemoryBlockstore


class Store(MemoryBlockstore):
    """Tells how many blocks were put together."""

    def __init__(self, quota: int = 0) -> None:
        super().__init__(quota)
        self.groups: list[int] = []

    async def put_many(self, blocks: Sequence[Block]) -> None:
        self.groups.append(len(blocks))
        await asyncio.sleep(0)
        await super().put_many(blocks)


async def test_what_comes_while_one_group_is_stored_is_the_next() -> None:
    store = Store()
    puts = GroupedPuts(store.put_many)
    await asyncio.gather(*map(puts.put, leaves(600)))
    assert sum(store.groups) == 600
    assert len(store.groups) <= 4
    assert await store.missing(cids(leaves(600))) == []


async def test_of_a_group_that_does_not_fit_what_fits_is_stored() -> None:
    store = Store(quota=1000)
    puts = GroupedPuts(store.put_many)
    await puts.put(leaf(1, 700))
    small, large = leaves(5, start=10), leaf(2, 900)
    ends = await asyncio.gather(*map(puts.put, [*small, large]), return_exceptions=True)
    assert [type(end) for end in ends] == [type(None)] * 5 + [StorageFull]
    assert await store.missing(cids([*small, large])) == [large.cid]


async def test_fetches_of_one_dag_share_their_puts_over_its_sessions() -> None:
    store, blocks = Store(), leaves(200)
    source = Blocks(store, RemoteBlocks(blocks))
    one, two = source.session(blocks[0].cid), source.session(blocks[1].cid)
    await asyncio.gather(
        *(session.fetch(block.cid) for session in (one, two) for block in blocks[session is two :: 2])
    )
    assert await store.missing(cids(blocks)) == []
    assert len(store.groups) < 20


async def test_what_came_meanwhile_by_another_way_is_found_when_it_cannot_be_had_elsewhere() -> None:
    store = MemoryBlockstore()
    source = Blocks(store, RemoteBlocks([]))
    with pytest.raises(BlockNotFound):
        await source.fetch(leaf(1).cid)
    await store.put_many([leaf(1)])
    assert await source.fetch(leaf(1).cid) == leaf(1)
