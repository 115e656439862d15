"""Small DAGs for tests: leaves and nodes by number, so that a seed is not needed to say what they are."""

from __future__ import annotations

from collections.abc import Sequence

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode


def leaf(number: int, size: int = 32) -> Block:
    """A raw block unlike that of any other number."""
    return Block.of(number.to_bytes(8, "big").ljust(size, b"."))


def leaves(count: int, start: int = 0, size: int = 32) -> list[Block]:
    return [leaf(start + number, size) for number in range(count)]


def node(children: Sequence[CID], data: bytes | None = None) -> Block:
    """A dag-pb block with those links."""
    links = tuple(PBLink(cid, "", None) for cid in children)
    return Block.of(dag_pb.encode(PBNode(links, data)), DAG_PB)


def tree(width: int, height: int, start: int = 0) -> list[Block]:
    """A full tree, root first: `height` levels of nodes over raw leaves, `width` links each."""
    level = leaves(width**height, start)
    blocks = list(level)
    for _ in range(height):
        level = [node(cids(level[first : first + width])) for first in range(0, len(level), width)]
        blocks = level + blocks
    return blocks


def chain(length: int) -> list[Block]:
    """Nodes that link to one next each, the first is the root, the last is a leaf."""
    blocks = [leaf(0)]
    for _ in range(length - 1):
        blocks.append(node([blocks[-1].cid]))
    return blocks[::-1]


def cids(blocks: Sequence[Block]) -> list[CID]:
    return [block.cid for block in blocks]
