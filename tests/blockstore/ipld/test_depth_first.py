from __future__ import annotations

from contextlib import ExitStack

import dag_cbor
import multiformats
import pytest
from support.dags import chain, cids, leaf, leaves, node, tree
from support.sources import RecordingSource, source_of

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR
from blockstore.errors import BlockNotFound, DagTooLarge, UnknownCodec
from blockstore.ipld.depth_first import WALK_LIMITS, WalkLimits, depth_first
from blockstore.prefetch.prefetch_walk import PrefetchWalk
from blockstore.prefetch.window import prefetching
from blockstore.read_budget import MIN_SHARE, TOTAL_BYTES


async def order(
    source: RecordingSource, root: CID, *, duplicates: bool = False, limits: WalkLimits = WALK_LIMITS
) -> list[CID]:
    walk = depth_first(source, root, duplicates=duplicates, limits=limits)
    return [block.cid async for block in walk]


async def test_parents_come_before_children_and_children_in_link_order() -> None:
    a, b, c, d = leaves(4)
    left, right = node([a.cid, b.cid]), node([c.cid, d.cid])
    root = node([left.cid, right.cid])
    source = await source_of(root, left, right, a, b, c, d)
    assert await order(source, root.cid) == cids([root, left, a, b, right, c, d])


async def test_a_block_met_again_is_given_again_only_when_asked_for() -> None:
    a = leaf(1)
    part = node([a.cid, a.cid])
    root = node([part.cid, a.cid, part.cid])
    source = await source_of(root, part, a)
    assert await order(source, root.cid) == cids([root, part, a])
    repeated = await order(source, root.cid, duplicates=True)
    assert repeated == cids([root, part, a, a, a, part, a, a])


async def test_a_walk_that_remembers_no_more_gives_some_blocks_twice() -> None:
    a, b = leaves(2)
    root = node([a.cid, b.cid, a.cid, b.cid])
    source = await source_of(root, a, b)
    assert await order(source, root.cid, limits=WalkLimits(seen=2)) == cids([root, a, b, b])


async def test_more_links_than_may_wait_end_the_walk() -> None:
    limits = WalkLimits(pending=10)
    few, many = node(cids(leaves(10))), node(cids(leaves(11)))
    source = await source_of(few, many, *leaves(11))
    assert await order(source, few.cid, limits=limits) == cids([few, *leaves(10)])
    with pytest.raises(DagTooLarge, match="more than 10 links wait"):
        await order(source, many.cid, limits=limits)


async def test_blocks_are_fetched_several_at_a_time_and_each_once() -> None:
    blocks = tree(10, 2)
    source = await source_of(*blocks)
    assert set(await order(source, blocks[0].cid)) == set(cids(blocks))
    assert sorted(source.asked, key=bytes) == sorted(cids(blocks), key=bytes)
    assert len(source.requests) < len(blocks) / 4


async def test_long_chains_are_walked_without_recursion() -> None:
    blocks = chain(3000)
    assert await order(await source_of(*blocks), blocks[0].cid) == cids(blocks)


async def test_inline_blocks_are_followed_and_not_given() -> None:
    target = leaf(1)
    link = multiformats.CID.decode(bytes(target.cid))
    inline = CID.identity(DAG_CBOR, dag_cbor.encode([link]))
    root = node([inline])
    assert await order(await source_of(root, target), root.cid) == [root.cid, target.cid]


async def test_a_missing_block_stops_the_walk_at_its_place() -> None:
    present = leaves(5)
    missing = leaf(99)
    root = node([*cids(present), missing.cid])
    source = await source_of(root, *present)
    given: list[CID] = []

    async def walk() -> None:
        async for block in depth_first(source, root.cid):
            given.append(block.cid)

    with pytest.raises(BlockNotFound) as raised:
        await walk()
    assert raised.value.cid == missing.cid
    assert given == cids([root, *present])


async def test_a_block_of_an_unknown_codec_is_not_passed_over() -> None:
    strange = Block.of(b"?", 0x300123)
    root = node([strange.cid])
    with pytest.raises(UnknownCodec):
        await order(await source_of(root, strange), root.cid)


async def test_a_narrow_dag_is_fetched_many_blocks_at_a_time_too() -> None:
    ends = leaves(64)
    middles = [node([end.cid]) for end in ends]
    tops = [node([middle.cid]) for middle in middles]
    root = node(cids(tops))
    source = await source_of(root, *tops, *middles, *ends)
    given = await order(source, root.cid)
    assert given[:4] == cids([root, tops[0], middles[0], ends[0]])
    assert sorted(source.asked, key=bytes) == sorted(given, key=bytes)
    assert len(source.requests) < 30


async def test_a_waiting_block_that_does_not_decode_stops_the_walk_at_its_place() -> None:
    strange = Block.of(b"?", 0x300123)
    ends = leaves(3)
    first, last = node([ends[0].cid]), node([ends[1].cid])
    root = node([first.cid, strange.cid, last.cid])
    source = await source_of(root, first, strange, last, *ends)
    given: list[CID] = []

    async def walk() -> None:
        async for block in depth_first(source, root.cid):
            given.append(block.cid)

    with pytest.raises(UnknownCodec):
        await walk()
    assert given == cids([root, first, ends[0], strange])


async def test_blocks_that_link_to_one_another_over_and_over_are_opened_once_each() -> None:
    level, blocks = leaf(0), []
    for _ in range(60):
        level = node([level.cid, level.cid])
        blocks.append(level)
    source = await source_of(leaf(0), *blocks)
    assert await order(source, level.cid) == cids([*reversed(blocks), leaf(0)])


@pytest.mark.parametrize(("size", "most"), [(1_000, 130), (500_000, 9), (1_000_000, 5), (2_000_000, 3)])
async def test_blocks_that_wait_for_their_turn_fit_a_share(size: int, most: int) -> None:
    big = [leaf(number, size) for number in range(min(400, 40_000_000 // size))]
    source = await source_of(*big)
    asked = cids(big)
    async with prefetching(source) as window:
        prefetch_walk = PrefetchWalk(window)
        for position, cid in enumerate(asked):
            assert (await prefetch_walk.take(cid, asked[position + 1 :])).cid == cid
            assert len(source.asked) <= position + most
    assert source.asked == asked
    assert max(source.requests) >= most // 2


async def test_where_many_read_each_takes_what_it_needs_next() -> None:
    blocks = tree(10, 2)
    source = await source_of(*blocks)
    with ExitStack() as others:
        for _ in range(TOTAL_BYTES // MIN_SHARE):
            others.enter_context(source.read_budget.reading())
        assert set(await order(source, blocks[0].cid)) == set(cids(blocks))
        assert max(source.requests) == 1
    await order(source, blocks[0].cid)
    assert max(source.requests) > 8


async def test_what_is_ahead_is_looked_at_in_part_however_much_it_is() -> None:
    """A node may link to one block 45 000 times; each of these is taken in its turn."""
    root, child = leaves(2)
    ahead = iter([child.cid] * 45_000)
    async with prefetching(await source_of(root, child)) as window:
        prefetch_walk = PrefetchWalk(window)
        for _ in range(10):
            await prefetch_walk.take(root.cid, ahead)
    assert len(list(ahead)) > 40_000
