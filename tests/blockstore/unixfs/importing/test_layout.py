from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.ipld import dag_pb
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.layout import BalancedLayout, FileNodes, TrickleLayout
from blockstore.unixfs.importing.nodes import NO_STAT, Child, FileMetadata, Namer


class Written:
    """The blocks of one file, to look into."""

    def __init__(
        self,
        layout: type[BalancedLayout | TrickleLayout],
        chunks: int,
        max_links: int,
        stat: FileMetadata = NO_STAT,
    ) -> None:
        self.blocks: list[Block] = []
        nodes = FileNodes(Namer(), False, max_links, stat, self.blocks.append)
        building = layout(nodes)
        for number in range(chunks):
            building.add(b"chunk %d" % number)
        self.root: Child = building.finish()
        self.by_cid = {block.cid: block for block in self.blocks}

    def leaves(self, cid: CID, depth: int = 0) -> list[tuple[int, UnixFSData]]:
        """Depth and content of the leaves below a node, in order."""
        node = dag_pb.decode(self.by_cid[cid].data)
        data = UnixFSData.decode(node.data or b"")
        if not node.links:
            return [(depth, data)]
        return [leaf for link in node.links for leaf in self.leaves(link.cid, depth + 1)]

    def widths(self) -> list[int]:
        return [len(dag_pb.decode(block.data).links) for block in self.blocks]


@pytest.mark.parametrize("layout", [BalancedLayout, TrickleLayout])
@settings(max_examples=60)
@given(chunks=st.integers(0, 300), max_links=st.integers(2, 9))
def test_leaves_stand_in_order_and_sizes_add_up(
    layout: type[BalancedLayout | TrickleLayout], chunks: int, max_links: int
) -> None:
    written = Written(layout, chunks, max_links)
    content = [data.data or b"" for _, data in written.leaves(written.root.cid)]
    expected = [b"chunk %d" % number for number in range(chunks)] or [b""]
    assert content == expected
    assert written.root.filesize == sum(map(len, expected))
    assert written.root.tsize == sum(len(block.data) for block in written.blocks)
    assert written.blocks[-1].cid == written.root.cid


@settings(max_examples=60)
@given(chunks=st.integers(1, 300), max_links=st.integers(2, 9))
def test_balanced_leaves_are_all_at_the_least_depth_that_holds_them(chunks: int, max_links: int) -> None:
    written = Written(BalancedLayout, chunks, max_links)
    (depth,) = {depth for depth, _ in written.leaves(written.root.cid)}
    assert max_links ** max(0, depth - 1) < chunks <= max_links**depth or (chunks == 1 and depth == 0)
    assert max(written.widths()) <= max_links


def test_a_balanced_file_whose_last_node_opens_a_level_is_whole() -> None:
    written = Written(BalancedLayout, 5, 2)  # closing the node over the fifth leaf fills the level above
    assert [depth for depth, _ in written.leaves(written.root.cid)] == [3] * 5


def test_trickle_has_leaves_then_four_sub_trees_of_each_depth() -> None:
    written = Written(TrickleLayout, 2 + 4 * 2 + 4 * (2 + 4 * 2), 2)
    root = dag_pb.decode(written.blocks[-1].data)
    below = [dag_pb.decode(written.by_cid[link.cid].data) for link in root.links]
    assert [len(node.links) for node in below] == [0, 0, 2, 2, 2, 2, 6, 6, 6, 6]
    assert {data.type for _, data in written.leaves(written.root.cid)} == {NodeType.RAW}


def test_trickle_puts_a_root_over_a_single_leaf() -> None:
    assert Written(TrickleLayout, 1, 174).widths() == [0, 1]


@pytest.mark.parametrize("layout", [BalancedLayout, TrickleLayout])
@pytest.mark.parametrize("chunks", [0, 1, 5])
def test_mode_and_time_are_recorded_at_the_root_alone(
    layout: type[BalancedLayout | TrickleLayout], chunks: int
) -> None:
    written = Written(layout, chunks, 2, FileMetadata(0o640, (-1, 5)))
    stats = [UnixFSData.decode(dag_pb.decode(block.data).data or b"") for block in written.blocks]
    assert [(data.mode, data.mtime) for data in stats[:-1]] == [(None, None)] * (len(stats) - 1)
    assert (stats[-1].mode, stats[-1].mtime) == (0o640, (-1, 5))


def test_raw_leaves_hold_the_chunk_and_nothing_else() -> None:
    blocks: list[Block] = []
    layout = BalancedLayout(FileNodes(Namer(), True, 174, NO_STAT, blocks.append))
    layout.add(b"one")
    layout.add(b"two")
    assert layout.finish().cid.codec == DAG_PB
    assert [block.data for block in blocks[:2]] == [b"one", b"two"]
    assert [block.cid.version for block in blocks] == [1, 1, 0]
