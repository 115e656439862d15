"""A pin is walked over members in bulk, and over an exchange for what these do not give."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from support.bulk import BulkMember, bulk_members
from support.dags import leaf, node
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.ipld.dag_walk import walk
from blockstore.memory_store import MemoryBlockstore

LEAVES = [leaf(number) for number in range(600)]
FOLDERS = [node([block.cid for block in LEAVES[start : start + 60]]) for start in range(0, 600, 60)]
ROOT = node([block.cid for block in FOLDERS])
DAG = [ROOT, *FOLDERS, *LEAVES]


async def _walked(
    here: BulkMember, elsewhere: Sequence[Block], *hints: BulkMember
) -> tuple[set[bytes], RemoteBlocks]:
    """Multihashes that were visited, and the exchange beside."""
    exchange = RemoteBlocks(elsewhere)
    peers = [member.peer for member in hints]
    blocks = Blocks(MemoryBlockstore(), exchange, groups=here.bulk.exchange).session(ROOT.cid, peers)
    async with aclosing(walk(blocks, ROOT.cid)) as visits:
        found = [visit.cid.multihash async for visit in visits]
    assert len(found) == len(set(found))
    assert await blocks.store.missing([block.cid for block in DAG]) == []
    return set(found), exchange


EVERYTHING = {block.cid.multihash for block in DAG}


async def test_a_whole_dag_comes_in_bulk_and_the_exchange_is_not_asked() -> None:
    async with bulk_members(2) as (a, b):
        await a.source.store.put_many(DAG)
        found, exchange = await _walked(b, [], a)
        assert (found, exchange.asked) == (EVERYTHING, [])
        assert a.source.reads < 20


async def test_what_members_lack_comes_over_the_exchange() -> None:
    async with bulk_members(3) as (a, b, c):
        await a.source.store.put_many([ROOT, *LEAVES[::3]])
        await b.source.store.put_many([*FOLDERS[:5], *LEAVES[1::3]])
        found, exchange = await _walked(c, DAG, a, b)
        assert found == EVERYTHING
        assert set(exchange.asked) == {block.cid for block in (*FOLDERS[5:], *LEAVES[2::3])}


async def test_where_no_member_is_reached_everything_comes_over_the_exchange() -> None:
    async with bulk_members(2) as (a, b):
        await a.source.store.put_many(DAG)
        a.bulk.admit({a.peer: []})
        found, exchange = await _walked(b, DAG, a)
        assert found == EVERYTHING
        assert len(exchange.asked) == len(DAG)


async def test_a_member_that_lies_gives_nothing_and_the_rest_comes_over_the_exchange() -> None:
    async with bulk_members(2) as (a, b):
        await a.source.store.put_many(DAG)
        a.source.lies = True
        found, _ = await _walked(b, DAG, a)
        assert found == EVERYTHING
        assert b.bulk.refused() == {"wrong bytes": 1}
