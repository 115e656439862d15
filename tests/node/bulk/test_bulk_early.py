"""What one member adds is at the others before they are to pin it; and what that may cost them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing

from support.bulk import BulkMember, bulk_members, client_context, said
from support.dags import node
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.ipld.dag_walk import walk
from blockstore.memory_store import MemoryBlockstore
from cluster.pin import PinOptions, Wish
from node.bulk.wire import MAX_WANTS, encode_wants
from node.services.early_offers import EarlyOffers

LEAVES = [Block.of(os.urandom(100_000)) for _ in range(40)]
ROOT = node([block.cid for block in LEAVES])
DAG = [ROOT, *LEAVES]


def taking(member: BulkMember, refused: Sequence[Block] = ()) -> Blocks:
    """The blocks that offers are fetched into."""
    into = Blocks(MemoryBlockstore(), RemoteBlocks([]), groups=member.bulk.exchange)
    member.bulk.early.into(into, lambda cid: cid in [block.cid for block in refused])
    return into


async def stored(blocks: Blocks, wanted: Sequence[Block]) -> None:
    while await blocks.store.missing([block.cid for block in wanted]):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_what_is_offered_is_fetched_from_who_offers_it() -> None:
    async with bulk_members(3) as (a, b, c):
        into = [taking(member) for member in (b, c)]
        await a.source.store.put_many(DAG)
        a.bulk.offers.offer([block.cid for block in LEAVES])
        for blocks in into:
            await stored(blocks, LEAVES)
        assert await into[0].store.missing([ROOT.cid]) == [ROOT.cid]


async def test_a_pin_that_comes_meanwhile_waits_for_what_is_under_way_and_fetches_nothing_twice() -> None:
    async with bulk_members(2) as (a, b):
        into = taking(b)
        await a.source.store.put_many(DAG)
        a.source.released.clear()
        a.bulk.offers.offer([block.cid for block in LEAVES[:10]])
        await a.source.until(lambda: a.source.reading == 1)
        pinning = asyncio.create_task(_walked(into.session(ROOT.cid, [a.peer])))
        a.source.released.set()
        assert await pinning == len(DAG)
        assert a.bulk.sent(b.peer) == sum(len(block.data) for block in DAG)


async def _walked(blocks: Blocks) -> int:
    async with aclosing(walk(blocks, ROOT.cid)) as visits:
        return len([visit async for visit in visits])


async def test_offers_of_what_is_here_or_refused_fetch_nothing() -> None:
    async with bulk_members(2) as (a, b):
        into = taking(b, refused=LEAVES[:3])
        await into.store.put_many(LEAVES[3:])
        await a.source.store.put_many(DAG)
        a.bulk.offers.offer([block.cid for block in DAG])
        await stored(into, [ROOT])
        assert len(await into.store.missing([block.cid for block in LEAVES])) == 3
        assert a.bulk.sent(b.peer) == len(ROOT.data)


async def test_offers_without_end_are_bounded_and_a_member_that_takes_none_hears_no_error() -> None:
    async with bulk_members(2) as (a, b):
        request = encode_wants([block.cid for block in LEAVES] * (MAX_WANTS // len(LEAVES)))
        head = "POST /v1/offers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += f"Content-Length: {len(request)}\r\n\r\n"
        context = client_context(a.identity)
        assert (await said(b.bulk.port, context, head.encode() + request)).startswith(b"HTTP/1.1 200")
        into = taking(b)
        a.source.released.clear()
        await a.source.store.put_many(LEAVES[:1])
        for _ in range(20):
            assert (await said(b.bulk.port, context, head.encode() + request)).startswith(b"HTTP/1.1 200")
        assert b.bulk.early.waiting(a.peer) <= 32 * 1024
        a.source.released.set()
        await stored(into, LEAVES[:1])


async def test_offers_of_a_follower_who_can_pin_nothing_are_passed_over() -> None:
    async with bulk_members(2) as (a, b):
        into = taking(b)
        await a.source.store.put_many(LEAVES)
        b.bulk.admit({a.peer: [a.address], b.peer: []}, followers={a.peer})
        a.bulk.offers.offer([block.cid for block in LEAVES])
        assert await b.fetch(LEAVES[:1], a) == LEAVES[:1]
        assert b.bulk.early.waiting(a.peer) == 0
        assert len(await into.store.missing([block.cid for block in LEAVES])) == len(LEAVES)


async def test_only_an_add_that_every_member_is_to_hold_is_offered_and_no_small_blocks() -> None:
    offered: list[object] = []
    store = MemoryBlockstore()
    early = EarlyOffers(offered.extend, replication=2)
    for wish in (None, Wish(), Wish(PinOptions(replication_min=1, replication_max=3))):
        await early.around(store, wish).put_many(LEAVES)
    everywhere = early.around(store, Wish(PinOptions(replication_min=-1, replication_max=-1)))
    await everywhere.put_many([Block.of(b"small")])
    assert offered == []
    await everywhere.put_many(LEAVES[:2])
    assert offered == [block.cid for block in LEAVES[:2]]
