from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from support.dags import leaf
from support.importing import file, keystream, root_of
from support.sources import RecordingSource, joined, source_of

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR, DAG_PB, RAW
from blockstore.errors import BadBlock, BlockNotFound, NotUnixFS
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.options import ImportOptions
from blockstore.unixfs.reader import MAX_FILE_DEPTH, describe, read_file, stat

CONTENT = b"".join(keystream("reader", 100_000))


async def imported(options: ImportOptions, data: bytes = CONTENT) -> tuple[RecordingSource, CID]:
    store = MemoryBlockstore()
    root = CID.parse(await root_of([file("f", data)], options, store))
    return RecordingSource(store), root


def file_node(
    parts: Sequence[tuple[Block, int]], data: bytes | None = None, size: int | None = None
) -> Block:
    """A file over those blocks, with the sizes it claims for them."""
    total = len(data or b"") + sum(claim for _, claim in parts)
    message = UnixFSData(
        NodeType.FILE, data, total if size is None else size, tuple(claim for _, claim in parts)
    )
    links = tuple(PBLink(block.cid, "", None) for block, _ in parts)
    return Block.of(dag_pb.encode(PBNode(links, message.encode())), DAG_PB)


LAYOUTS = [
    ImportOptions(chunker="size-1000", max_file_links=4),
    ImportOptions(chunker="size-1000", max_file_links=4, cid_version=1, raw_leaves=True),
    ImportOptions(chunker="size-1000", max_file_links=4, trickle=True),
    ImportOptions(chunker="size-777", max_file_links=174, inline_limit=32),
    ImportOptions(),
]


@pytest.mark.parametrize("options", LAYOUTS)
async def test_files_and_ranges_read_back_whatever_the_layout(options: ImportOptions) -> None:
    source, root = await imported(options)
    assert await joined(read_file(source, root)) == CONTENT
    draw = random.Random(7)
    for _ in range(60):
        start, stop = draw.randrange(-5, 100_005), draw.randrange(-5, 101_000)
        assert await joined(read_file(source, root, start, stop)) == CONTENT[max(start, 0) : max(stop, 0)]
    assert await joined(read_file(source, root, 99_999)) == CONTENT[99_999:]
    assert await joined(read_file(source, root, 100_000)) == b""


async def test_an_empty_file_reads_as_nothing() -> None:
    for options in (ImportOptions(), ImportOptions(cid_version=1, raw_leaves=True)):
        source, root = await imported(options, b"")
        assert await joined(read_file(source, root)) == b""
        assert (await stat(source, root)).size == 0


async def test_a_range_reads_only_the_blocks_it_needs() -> None:
    source, root = await imported(ImportOptions(chunker="size-1000", max_file_links=4))
    source.asked.clear()
    assert await joined(read_file(source, root, 50_500, 50_501)) == CONTENT[50_500:50_501]
    assert (
        len(source.asked) == len(set(source.asked)) == 5
    )  # one block a level: 100 leaves, four links a node


async def test_a_range_beside_a_missing_block_is_served() -> None:
    parts = [Block.of(bytes([number]) * 1000) for number in range(3)]
    root = file_node([(part, 1000) for part in parts])
    source = await source_of(root, parts[0], parts[2])
    assert await joined(read_file(source, root.cid, 997, 1000)) == b"\0" * 3
    assert await joined(read_file(source, root.cid, 2200, 2201)) == b"\2"
    with pytest.raises(BlockNotFound) as raised:
        await joined(read_file(source, root.cid, 999, 1001))
    assert raised.value.cid == parts[1].cid


async def test_leaves_are_fetched_several_at_a_time_within_a_bound_of_bytes() -> None:
    size = 256 * 1024
    data = b"".join(keystream("batches", 24 * size))
    source, root = await imported(ImportOptions(cid_version=1, raw_leaves=True), data)
    source.requests.clear()
    assert await joined(read_file(source, root)) == data
    assert source.requests == [1, 2, 3, 6, 11, 2]


async def test_reading_stays_one_batch_ahead_of_the_consumer() -> None:
    size = 256 * 1024
    source, root = await imported(ImportOptions(cid_version=1, raw_leaves=True), bytes(100 * size))
    source.requests.clear()
    async with aclosing(read_file(source, root)) as pieces:
        await anext(pieces)
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.requests == [1, 2, 3]


async def test_a_root_at_hand_is_not_fetched_again() -> None:
    source, root = await imported(ImportOptions(chunker="size-1000"), b"x" * 10)
    block = await source.get(root)
    source.asked.clear()
    assert await joined(read_file(source, root, root=block)) == b"x" * 10
    assert source.asked == []


async def test_a_node_may_hold_data_before_its_children() -> None:
    inner = file_node([(leaf(1, 10), 10)], b"abc")
    root = file_node([(inner, 13), (leaf(2, 10), 10)], b"head")
    source = await source_of(root, inner, leaf(1, 10), leaf(2, 10))
    expected = b"headabc" + leaf(1, 10).data + leaf(2, 10).data
    assert await joined(read_file(source, root.cid)) == expected
    for start in range(len(expected)):
        assert await joined(read_file(source, root.cid, start, start + 5)) == expected[start : start + 5]


async def test_one_block_linked_many_times_is_given_each_time() -> None:
    source, root = await imported(ImportOptions(chunker="size-1000", max_file_links=4), b"a" * 50_000)
    assert await joined(read_file(source, root)) == b"a" * 50_000


async def test_a_small_file_lies_in_its_identity_cid() -> None:
    source, root = await imported(ImportOptions(cid_version=1, raw_leaves=True, inline_limit=32), b"tiny")
    assert root.is_identity
    assert await joined(read_file(source, root)) == b"tiny"


@pytest.mark.parametrize("claim", [9, 11])
async def test_a_parent_that_lies_about_a_size_is_caught(claim: int) -> None:
    root = file_node([(leaf(1, 10), claim), (leaf(2, 10), 10)])
    source = await source_of(root, leaf(1, 10), leaf(2, 10))
    with pytest.raises(BadBlock, match="its parent says"):
        await joined(read_file(source, root.cid))


async def test_a_node_whose_figures_disagree_is_refused() -> None:
    wrong_total = file_node([(leaf(1, 10), 10)], size=11)
    unsized = UnixFSData(NodeType.FILE, filesize=10).encode()
    no_sizes = Block.of(dag_pb.encode(PBNode((PBLink(leaf(1, 10).cid, "", None),), unsized)), DAG_PB)
    for root in (wrong_total, no_sizes):
        source = await source_of(root, leaf(1, 10))
        with pytest.raises(BadBlock):
            await joined(read_file(source, root.cid))
        with pytest.raises(BadBlock):
            describe(root)


async def test_empty_parts_are_not_fetched_however_many_there_are() -> None:
    root = file_node([(leaf(3), 0)] * 5000 + [(leaf(1, 10), 10)])
    source = await source_of(root, leaf(1, 10))
    assert await joined(read_file(source, root.cid)) == leaf(1, 10).data
    assert leaf(3).cid not in source.asked


async def test_a_chain_of_nodes_is_followed_only_so_far() -> None:
    blocks = [leaf(1, 10)]
    for _ in range(MAX_FILE_DEPTH):
        blocks.append(file_node([(blocks[-1], 10)]))
    source = await source_of(*blocks)
    assert await joined(read_file(source, blocks[-1].cid)) == leaf(1, 10).data
    top = file_node([(blocks[-1], 10)])
    await source.store.put_many([top])
    with pytest.raises(BadBlock, match="deeper"):
        await joined(read_file(source, top.cid))


async def test_a_directory_is_not_read_as_a_file() -> None:
    directory = Block.of(dag_pb.encode(PBNode((), UnixFSData(NodeType.DIRECTORY).encode())), DAG_PB)
    inside = file_node([(directory, 5)])
    source = await source_of(directory, inside)
    for root in (directory, inside):
        with pytest.raises(NotUnixFS):
            await joined(read_file(source, root.cid))


@pytest.mark.parametrize(("data", "codec"), [(b"\xf6", DAG_CBOR), (b"", DAG_PB), (b"\x0a\x02zz", DAG_PB)])
async def test_what_is_no_unixfs_is_said_not_to_be(data: bytes, codec: int) -> None:
    block = Block.of(data, codec)
    source = await source_of(block)
    with pytest.raises(NotUnixFS):
        await stat(source, block.cid)


async def test_stat_tells_kind_size_mode_and_time() -> None:
    options = ImportOptions(chunker="size-1000", mode=0o640, mtime=(-3, 5))
    source, root = await imported(options)
    info = await stat(source, root)
    assert (info.kind, info.size, info.mode, info.mtime) == ("file", 100_000, 0o640, (-3, 5))
    assert info.links == 100
    assert info.cumulative == (await source.store.usage()).bytes
    assert not info.sharded
    raw = await stat(await source_of(leaf(1, 10)), leaf(1, 10).cid)
    assert (raw.cid.codec, raw.kind, raw.size, raw.cumulative, raw.mode) == (RAW, "file", 10, 10, None)


async def test_stat_of_a_symlink_has_its_target() -> None:
    message = UnixFSData(NodeType.SYMLINK, b"../there", mtime=(1, 0))
    block = Block.of(dag_pb.encode(PBNode((), message.encode())), DAG_PB)
    info = describe(block)
    assert (info.kind, info.target, info.size, info.mtime) == ("symlink", b"../there", 8, (1, 0))


async def test_leaving_a_read_withdraws_what_it_was_fetching() -> None:
    parts = [Block.of(bytes([number]) * 400_000) for number in range(6)]
    root = file_node([(part, 400_000) for part in parts])
    source = _Stalling(await source_of(root, *parts), parts[2].cid)
    async with aclosing(read_file(source, root.cid)) as pieces:
        await anext(pieces)
        await source.stalled.wait()
    assert source.withdrawn


class _Stalling:
    """A source in which one block never comes."""

    def __init__(self, inner: RecordingSource, missing: CID) -> None:
        self._inner = inner
        self._missing = missing
        self.read_budget = inner.read_budget
        self.stalled = asyncio.Event()
        self.withdrawn = False

    async def get(self, cid: CID) -> Block:
        return await self._inner.get(cid)

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        if self._missing not in cids:
            return await self._inner.get_many(cids)
        self.stalled.set()
        try:
            return await asyncio.Future()
        finally:
            self.withdrawn = True
