from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from random import Random

import pytest
from support.dags import chain, cids, leaf, leaves, node, tree
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID, DAG_CBOR, DAG_PB, RAW
from blockstore.errors import BadBlock, BlockNotFound, DagTooLarge, UnknownCodec
from blockstore.ipld import dag_walk
from blockstore.ipld.codecs import links
from blockstore.ipld.dag_walk import DagWalk, Visit, walk
from blockstore.ipld.visited import Visited
from blockstore.ipld.walk_frontier import MAX_DEPTH
from blockstore.ipld.walk_state import WalkState
from blockstore.memory_store import MemoryBlockstore


class WatchedStore(MemoryBlockstore):
    """Tells which blocks were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[CID] = []

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        self.read += cids
        return await super().get_many(cids)


async def local(blocks: list[Block]) -> tuple[Blocks, WatchedStore]:
    store = WatchedStore()
    await store.put_many(blocks)
    return Blocks(store, OfflineExchange()), store


async def visits(
    blocks: Blocks, root: CID, recursive: bool = True, max_pending: int = dag_walk.MAX_PENDING
) -> list[Visit]:
    async with aclosing(walk(blocks, root, recursive=recursive, max_pending=max_pending)) as found:
        return [visit async for visit in found]


async def test_every_block_is_visited_once_with_its_size_and_depth() -> None:
    blocks = tree(3, 3)
    source, _ = await local(blocks)
    found = await visits(source, blocks[0].cid)
    assert sorted(bytes(visit.cid) for visit in found) == sorted(bytes(block.cid) for block in blocks)
    sizes = {block.cid: len(block.data) for block in blocks}
    assert all(visit.size == sizes[visit.cid] for visit in found)
    assert [sum(visit.depth == depth for visit in found) for depth in range(4)] == [1, 3, 9, 27]
    assert found[-1].pending == 0


async def test_parents_come_before_their_children() -> None:
    blocks = tree(4, 3)
    source, _ = await local(blocks)
    place = {visit.cid: index for index, visit in enumerate(await visits(source, blocks[0].cid))}
    for block in blocks:
        assert all(place[block.cid] < place[child] for child in links(block))


async def test_leaves_that_are_here_are_not_read() -> None:
    inner = [node([], b"a dag-pb leaf %d" % number) for number in range(3)]
    root = node(cids([*leaves(100), *inner]))
    source, store = await local([root, *leaves(100), *inner])
    assert len(await visits(source, root.cid)) == 104
    assert store.read == [root.cid]


async def test_what_is_missing_is_fetched_and_stored() -> None:
    blocks = tree(5, 3)
    store = MemoryBlockstore()
    remote = RemoteBlocks(blocks)
    await store.put_many(blocks[::2])
    found = await visits(Blocks(store, remote), blocks[0].cid)
    assert len(found) == len(blocks)
    assert await store.missing(cids(blocks)) == []
    assert sorted(map(bytes, remote.asked)) == sorted(bytes(block.cid) for block in blocks[1::2])


async def test_fetches_keep_a_window_full_and_never_beyond() -> None:
    blocks = [node(cids(leaves(2000))), *leaves(2000)]
    remote = RemoteBlocks(blocks)
    source = Blocks(MemoryBlockstore(), remote)
    remote.hold()
    call = asyncio.create_task(visits(source, blocks[0].cid))
    await remote.until_running(1)
    remote.released.set()
    await remote.until_running(32)
    assert len(await call) == 2001
    assert 32 <= remote.most_running <= 256


async def test_large_blocks_narrow_the_window() -> None:
    size = 2 * 1024 * 1024
    blocks = leaves(80, size=size)
    parents = [node([block.cid]) for block in blocks]  # small, and they all come first
    root = node(cids(parents))
    remote = RemoteBlocks([root, *parents, *blocks])
    assert len(await visits(Blocks(MemoryBlockstore(), remote), root.cid)) == 161
    assert 16 * size <= remote.most_bytes <= 33 * size


async def test_a_shared_block_is_visited_once_and_repeats_end() -> None:
    shared = node([leaf(1).cid, leaf(1).cid], b"shared")
    parents = [node([shared.cid, shared.cid, leaf(1).cid], b"%d" % number) for number in range(50)]
    root = node(cids(parents) * 3)
    source, store = await local([root, *parents, shared, leaf(1)])
    assert len(await visits(source, root.cid)) == 53
    assert len(store.read) == 52


async def test_the_same_bytes_as_leaf_and_as_node_are_both_followed() -> None:
    inner = node([leaf(1).cid])
    root = node([CID.v1(RAW, inner.cid.multihash), inner.cid])
    source, _ = await local([root, inner, leaf(1)])
    found = await visits(source, root.cid)
    assert {visit.cid for visit in found} == {
        root.cid,
        CID.v1(RAW, inner.cid.multihash),
        inner.cid,
        leaf(1).cid,
    }


async def test_inline_blocks_are_followed() -> None:
    inline = CID.identity(DAG_PB, node([leaf(1).cid]).data)
    other = CID.identity(DAG_PB, node([leaf(2).cid]).data)
    root = node([inline, other, CID.identity(RAW, b"text")])
    source, _ = await local([root, *leaves(3)])
    found = {visit.cid for visit in await visits(source, root.cid)}
    assert found == {root.cid, inline, other, CID.identity(RAW, b"text"), leaf(1).cid, leaf(2).cid}


async def test_a_walk_that_is_not_recursive_visits_the_root_alone() -> None:
    blocks = tree(3, 3)
    source, store = await local(blocks)
    assert [visit.cid for visit in await visits(source, blocks[0].cid, recursive=False)] == [blocks[0].cid]
    assert store.read == []


async def test_ten_thousand_levels_are_walked_without_recursion() -> None:
    blocks = chain(MAX_DEPTH + 1)
    source, _ = await local(blocks)
    assert len(await visits(source, blocks[0].cid)) == MAX_DEPTH + 1


async def test_deeper_is_refused() -> None:
    blocks = chain(MAX_DEPTH + 2)
    source, _ = await local(blocks)
    with pytest.raises(DagTooLarge, match="deeper than 10000 levels"):
        await visits(source, blocks[0].cid)


async def test_a_frontier_beyond_all_tools_is_refused() -> None:
    root = node(cids(leaves(1001)))
    source, _ = await local([root, *leaves(1001)])
    with pytest.raises(DagTooLarge, match="more than 1000 blocks"):
        await visits(source, root.cid, max_pending=1000)


async def test_a_wide_dag_is_never_known_whole() -> None:
    blocks = tree(20, 3)
    source, _ = await local(blocks)
    found = await visits(source, blocks[0].cid)
    assert len(found) == len(blocks) == 8421
    assert max(visit.pending for visit in found) < 2000  # a page of nodes, opened


async def test_a_missing_block_ends_the_walk_with_its_reason_and_the_other_fetches() -> None:
    blocks = [node(cids(leaves(50))), *leaves(50)]
    remote = RemoteBlocks(blocks)
    remote.forget(leaf(20).cid)
    with pytest.raises(BlockNotFound, match="the other store has not got it"):
        await visits(Blocks(MemoryBlockstore(), remote), blocks[0].cid)
    assert remote.running == 0


async def test_closing_the_walk_withdraws_its_fetches() -> None:
    blocks = [node(cids(leaves(50))), *leaves(50)]
    remote = RemoteBlocks(blocks)
    store = MemoryBlockstore()
    await store.put_many(blocks[:1])
    async with aclosing(walk(Blocks(store, remote), blocks[0].cid)) as found:
        assert (await anext(found)).cid == blocks[0].cid
        remote.hold()
        step = asyncio.ensure_future(anext(found))
        await remote.until_running(20)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
    assert (remote.running, remote.withdrawn > 0) == (0, True)


@pytest.mark.parametrize(
    ("codec", "data", "error"),
    [(DAG_PB, b"\x12\xff", BadBlock), (DAG_CBOR, b"\xff", BadBlock), (0x1234, b"what", UnknownCodec)],
)
async def test_blocks_that_do_not_decode_are_named(codec: int, data: bytes, error: type[Exception]) -> None:
    bad = Block.of(data, codec)
    root = node([bad.cid])
    source, _ = await local([root, bad])
    with pytest.raises(error):
        await visits(source, root.cid)


async def test_random_dags_from_scattered_blocks_are_walked_whole() -> None:
    random = Random(7)
    for _ in range(40):
        blocks = leaves(30)
        for number in range(60):
            children = random.choices(blocks, k=random.randrange(8))
            blocks.append(node(cids(children), b"%d" % number))
        reached, waiting = set[CID](), [blocks[-1].cid]
        by_cid = {block.cid: block for block in blocks}
        while waiting:
            cid = waiting.pop()
            if cid not in reached:
                reached.add(cid)
                waiting += links(by_cid[cid])
        store = MemoryBlockstore()
        await store.put_many(random.sample(blocks, 40))
        found = await visits(Blocks(store, RemoteBlocks(blocks)), blocks[-1].cid)
        assert len(found) == len(reached)
        assert {visit.cid for visit in found} == reached


async def test_a_walk_goes_on_from_any_page_and_visits_nothing_twice_nor_reads_it_again() -> None:
    random = Random(12)
    blocks = leaves(300)
    for number in range(400):
        blocks.append(node(cids(random.choices(blocks, k=random.randrange(9))), b"%d" % number))
    blocks.append(node([*cids(blocks), CID.identity(RAW, b"text")]))
    for cut in range(1, 6):
        store = WatchedStore()
        await store.put_many(random.sample(blocks, 300))
        source, state, given = Blocks(store, RemoteBlocks(blocks)), None, list[Sequence[Visit]]()
        walked = DagWalk(source, blocks[-1].cid)
        async with aclosing(walked.pages()) as pages:
            async for page in pages:
                given.append(page)
                if len(given) == cut:
                    state = WalkState.decode((await walked.state()).encode())
                    break
        assert state is not None
        store.read.clear()
        rest = DagWalk(source, blocks[-1].cid, state=state)
        first = [visit.cid for page in given for visit in page]
        second = [visit.cid async for page in rest.pages() for visit in page]
        assert len(first) + len(second) == len({*first, *second}) == len(blocks) + 1
        assert (rest.visited, rest.bytes) == (len(blocks) + 1, sum(len(b.data) for b in blocks) + 4)
        assert not {*store.read} & {*first}


async def test_a_leaf_that_every_node_links_to_is_known_once_a_node() -> None:
    """As in a file of zeroes: the leaf is visited once, and what is pending does not grow with repeats."""
    parents = [node([leaf(1).cid] * 170, b"%d" % number) for number in range(500)]
    root = node(cids(parents))
    source, _ = await local([root, *parents, leaf(1)])
    found = await visits(source, root.cid)
    assert len(found) == 502
    assert max(visit.pending for visit in found) < 600


def test_what_ten_million_blocks_leave_behind_is_a_bit_each() -> None:
    visited = Visited()
    for number in range(0, 10_000_000, 64):
        visited.add(leaf(0).cid, number)
    assert len(visited.raw.pack()) < 1.3 * 1024 * 1024
