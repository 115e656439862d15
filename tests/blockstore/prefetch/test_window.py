"""Reading from far away: more is under way the longer the line, and no more than it takes or memory holds."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from weakref import WeakSet

import pytest
from support.clock import virtual_time
from support.dags import leaves, tree
from support.gateway import file_of
from support.sources import joined

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BlockNotFound
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.ipld.depth_first import depth_first
from blockstore.read_budget import MAX_SHARE, TOTAL_BYTES, ReadBudget
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.reader import read_file

MIB = 1024 * 1024
FILE = leaves(192, size=MIB // 4)  # 48 MiB
ROOT = file_of(FILE)
DATA = {block.cid: block.data for block in (ROOT, *FILE)}


def large_file_of(nodes: list[Block], size: int) -> Block:
    """The root of a file over others of that size."""
    data = UnixFSData(NodeType.FILE, filesize=size * len(nodes), blocksizes=(size,) * len(nodes)).encode()
    links = tuple(PBLink(node.cid, "", size) for node in nodes)
    return Block.of(dag_pb.encode(PBNode(links, data)), DAG_PB)


class FarSource:
    """Blocks at the other end of a line: there and back takes `seconds`; so many bytes fit in a second."""

    def __init__(
        self,
        blocks: list[Block],
        seconds: float = 0.0,
        bytes_per_second: float = float("inf"),
        read_budget: ReadBudget | None = None,
    ) -> None:
        self.read_budget = read_budget or ReadBudget()
        self._blocks = {block.cid: block for block in blocks}
        self._seconds = seconds
        self._rate = bytes_per_second
        self._free_at = 0.0
        self._due: dict[CID, float] = {}
        self.under_way = 0
        self.most_under_way = 0
        self.longest = 0.0
        self.withdrawn = 0
        self.late: dict[CID, Block] = {}

    async def get(self, cid: CID) -> Block:
        return (await self.get_many([cid]))[0]

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        began = asyncio.get_running_loop().time()
        try:
            blocks = await asyncio.gather(*map(self._fetch, cids))
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        self.longest = max(self.longest, asyncio.get_running_loop().time() - began)
        return blocks

    async def _fetch(self, cid: CID) -> Block:
        now = asyncio.get_running_loop().time()
        if cid in self.late:
            await asyncio.sleep(3600)
            return self.late[cid]
        if cid not in self._blocks:
            await asyncio.sleep(self._seconds)
            raise BlockNotFound(cid)
        size = len(self._blocks[cid].data)
        if cid not in self._due:  # who asks for what is on its way gets the same
            self._free_at = max(self._free_at, now + self._seconds / 2) + size / self._rate
            self._due[cid] = self._free_at + self._seconds / 2
        self.under_way += size
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self._due[cid] - now)
        finally:
            self.under_way -= size
        return self._blocks[cid]


async def seconds_for(pieces: AsyncGenerator[object, None]) -> float:
    began = asyncio.get_running_loop().time()
    async with aclosing(pieces):
        async for _ in pieces:
            pass
    return asyncio.get_running_loop().time() - began


@virtual_time
@pytest.mark.parametrize(("line", "most"), [(0.1, 1.2), (0.4, 4.5)])
async def test_a_file_comes_over_a_long_line_many_megabytes_a_round_trip(line: float, most: float) -> None:
    source = FarSource([ROOT, *FILE], line)
    assert await seconds_for(read_file(source, ROOT.cid)) < most
    assert source.most_under_way <= MAX_SHARE


@virtual_time
async def test_an_archive_comes_over_a_long_line_as_fast() -> None:
    source = FarSource([ROOT, *FILE], 0.4)
    assert await seconds_for(depth_first(source, ROOT.cid)) < 5


@virtual_time
async def test_a_dag_of_many_levels_comes_over_a_long_line_many_nodes_a_round_trip() -> None:
    blocks = tree(10, 3)
    source = FarSource(blocks, 0.4)
    assert await seconds_for(depth_first(source, blocks[0].cid)) < 8


@virtual_time
async def test_nodes_of_a_large_file_are_opened_before_their_turn() -> None:
    parts = [FILE[start : start + 16] for start in range(0, 192, 16)]
    nodes = [file_of(part) for part in parts]
    root = large_file_of(nodes, 4 * MIB)
    source = FarSource([root, *nodes, *FILE], 0.4)
    assert await seconds_for(read_file(source, root.cid)) < 8


@virtual_time
async def test_over_a_slow_line_no_block_waits_long_for_its_turn() -> None:
    """A wait ends after 30 s, at other people's patience: what was asked for must be here by then."""
    source = FarSource([ROOT, *FILE], 0.1, bytes_per_second=300_000)
    assert await seconds_for(read_file(source, ROOT.cid)) < 1.1 * 48 * MIB / 300_000
    assert source.longest < 10


@virtual_time
async def test_a_first_byte_waits_for_its_block_and_for_no_other() -> None:
    small = leaves(64, size=3000)
    source = FarSource([file_of(small), *small], 0.1, bytes_per_second=1000)
    async with aclosing(read_file(source, file_of(small).cid)) as pieces:
        for leaf in small[:3]:
            began = asyncio.get_running_loop().time()
            assert await anext(pieces) == leaf.data
            assert asyncio.get_running_loop().time() - began < 8


@virtual_time
async def test_what_comes_late_keeps_nothing_that_is_here_from_being_given() -> None:
    """As where a file is here but for a few blocks, which a slow peer has."""
    here, away = leaves(40, size=3000), leaves(3, start=100, size=3000)
    root = file_of([*here, *away])
    source = FarSource([root, *here])
    source.late = {block.cid: block for block in away}
    async with aclosing(read_file(source, root.cid)) as pieces:
        for leaf in here:
            assert await anext(pieces) == leaf.data
        assert asyncio.get_running_loop().time() < 60
        for leaf in away:
            assert await anext(pieces) == leaf.data


@virtual_time
async def test_many_readers_of_far_sources_have_no_more_under_way_than_memory_holds() -> None:
    budget = ReadBudget()
    sources = [FarSource([ROOT, *FILE], 0.4, read_budget=budget) for _ in range(32)]
    await asyncio.gather(*(seconds_for(read_file(source, ROOT.cid)) for source in sources))
    assert sum(source.most_under_way for source in sources) <= TOTAL_BYTES


@virtual_time
async def test_what_is_under_way_is_withdrawn_when_the_reader_leaves() -> None:
    source = FarSource([ROOT, *FILE], 0.4)
    pieces = read_file(source, ROOT.cid)
    for _ in range(20):
        await anext(pieces)
    await asyncio.sleep(0.1)
    assert source.under_way
    await pieces.aclose()
    assert source.withdrawn
    assert not source.under_way


@virtual_time
@pytest.mark.parametrize("gap", [1, 3, 150])
async def test_what_is_here_before_a_gap_is_given(gap: int) -> None:
    source = FarSource([ROOT, *FILE[:gap], *FILE[gap + 1 :]], 0.4)
    got = b""

    async def read() -> None:
        nonlocal got
        async for piece in read_file(source, ROOT.cid):
            got += piece

    with pytest.raises(BlockNotFound) as raised:
        await read()
    assert raised.value.cid == FILE[gap].cid
    assert got == b"".join(block.data for block in FILE[:gap])


@virtual_time
async def test_the_bytes_are_those_of_the_file() -> None:
    source = FarSource([ROOT, *FILE], 0.1, bytes_per_second=5_000_000)
    assert await joined(read_file(source, ROOT.cid)) == b"".join(block.data for block in FILE)


async def test_what_was_given_out_is_not_kept() -> None:
    class Counted(Block):
        __slots__ = ("__weakref__",)

    kept = WeakSet[Counted]()

    class Source:
        read_budget = ReadBudget()

        async def get(self, cid: CID) -> Block:
            return (await self.get_many([cid]))[0]

        async def get_many(self, cids: Sequence[CID]) -> list[Block]:
            found = [Counted(cid, DATA[cid]) for cid in cids]
            kept.update(found)
            return list(found)

    most = 0
    async with aclosing(read_file(Source(), ROOT.cid)) as pieces:
        async for _ in pieces:
            most = max(most, sum(len(block.data) for block in kept))
    assert most < 2 * MAX_SHARE
