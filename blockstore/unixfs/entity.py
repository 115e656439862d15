"""The blocks of one entity: a file with all of its parts, or a directory without what is in it (IPIP-402)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BadBlock, DagTooLarge, NotUnixFS
from blockstore.ipld import dag_pb
from blockstore.ipld.decoding import beside
from blockstore.ipld.depth_first import WALK_LIMITS, Skip, WalkLimits, nothing
from blockstore.prefetch.prefetch_walk import PrefetchWalk
from blockstore.prefetch.window import prefetching
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.decoded import FILES, UnixFSNode, message
from blockstore.unixfs.hamt import Shard
from blockstore.unixfs.reader import describe

MAX_DEPTH = 256
_LOOKED_AT = 256  # steps ahead


@dataclass(frozen=True, slots=True)
class ByteSpan:
    """`first` to `last`, inclusive; negative ones count from the end, no last is the end."""

    first: int = 0
    last: int | None = None

    def within(self, size: int) -> tuple[int, int]:
        """Start and stop (exclusive) in a file of that size; equal when nothing of it is meant."""
        start = max(0, self.first + size) if self.first < 0 else self.first
        if self.last is None:
            return min(start, size), size
        stop = min(size, self.last + 1 + (size if self.last < 0 else 0))
        return (start, stop) if start < stop else (0, 0)


class _EntityStep(NamedTuple):
    """A part of a file with the bytes wanted of it, counted from its own start; no stop is all of it."""

    cid: CID
    depth: int
    start: int = 0
    stop: int | None = None


async def entity(
    source: BlockSource,
    cid: CID,
    span: ByteSpan | None = None,
    *,
    duplicates: bool = False,
    skip: Skip = nothing,
    limits: WalkLimits = WALK_LIMITS,
) -> AsyncGenerator[Block]:
    """Depth first: of a file the blocks that the span needs, of a HAMT all shards, else the block itself.

    A span says nothing of what is no file. Blocks of identity CIDs are not given, nor what `skip` says.
    Raises BlockNotFound, BadBlock, DagTooLarge.
    """
    root = await source.get(cid)
    walk = _EntityWalk(await beside(lambda block: _start(block, span), root), limits, duplicates=duplicates)
    async with prefetching(source) as window:
        prefetch_walk = PrefetchWalk(window)
        while (step := walk.pop()) is not None:
            block = await prefetch_walk.take(step.cid, walk.following())
            if walk.gives(step.cid):
                yield block
            children = await beside(partial(_children, step), block)
            walk.push([child for child in children if not skip(child.cid)])


class _EntityWalk:
    """What is to be visited, and what was. No I/O."""

    def __init__(self, first: _EntityStep, limits: WalkLimits, *, duplicates: bool) -> None:
        self._limits = limits
        self._stack = [first]
        self._duplicates = duplicates
        self._visited: set[tuple[CID, int, int | None]] = set()
        self._given: set[CID] = set()

    def pop(self) -> _EntityStep | None:
        while self._stack:
            step = self._stack.pop()
            key = (step.cid, step.start, step.stop)
            if key not in self._visited:
                if not self._duplicates and len(self._visited) < self._limits.seen:
                    self._visited.add(key)
                return step
        return None

    def following(self) -> list[CID]:
        return [step.cid for step in self._stack[: -_LOOKED_AT - 1 : -1] if step.cid not in self._given]

    def gives(self, cid: CID) -> bool:
        if cid.is_identity or cid in self._given:
            return False
        if not self._duplicates and len(self._given) < self._limits.seen:
            self._given.add(cid)
        return True

    def push(self, steps: list[_EntityStep]) -> None:
        self._stack += reversed(steps)
        if len(self._stack) > self._limits.pending:
            raise DagTooLarge(f"more than {self._limits.pending} links wait to be followed")


def _start(root: Block, span: ByteSpan | None) -> _EntityStep:
    node = _node(root) if span is not None and _has_children(root) else None
    if span is None or node is None or node.data.type not in FILES:
        return _EntityStep(root.cid, 0)
    return _EntityStep(root.cid, 0, *span.within(describe(root).size))


def _children(step: _EntityStep, block: Block) -> list[_EntityStep]:
    node = _node(block) if _has_children(block) else None
    if node is None or not node.links or (step.stop is not None and step.start >= step.stop):
        return []
    if step.depth == MAX_DEPTH:
        raise DagTooLarge(f"{block.cid} is deeper than {MAX_DEPTH} levels in a file or directory")
    if node.data.type == NodeType.HAMT:
        return _shards(node, step.depth)
    return _parts(node, step) if node.data.type in FILES else []


def _shards(node: UnixFSNode, depth: int) -> list[_EntityStep]:
    shard = Shard.of(node.pb, node.data, depth)
    return [_EntityStep(link.cid, depth + 1) for link in node.links if not shard.entry_name(link)]


def _parts(node: UnixFSNode, step: _EntityStep) -> list[_EntityStep]:
    if step.stop is None:
        return [_EntityStep(link.cid, step.depth + 1) for link in node.links]
    if len(node.data.blocksizes) != len(node.links):
        raise BadBlock(f"file {node.cid} has {len(node.links)} links and {len(node.data.blocksizes)} sizes")
    found: list[_EntityStep] = []
    offset = len(node.data.data or b"")
    for link, size in zip(node.links, node.data.blocksizes, strict=True):
        start, stop = max(step.start - offset, 0), min(step.stop - offset, size)
        if start < stop:
            found.append(_EntityStep(link.cid, step.depth + 1, start, stop))
        offset += size
    return found


def _has_children(block: Block) -> bool:
    """Whether it may be a file or a shard: a directory of many names need not be decoded."""
    if block.cid.codec != DAG_PB:
        return False
    found = message(dag_pb.node_data(block.data))
    return isinstance(found, UnixFSData) and found.type != NodeType.DIRECTORY


def _node(block: Block) -> UnixFSNode | None:
    if block.cid.codec != DAG_PB:
        return None
    try:
        return UnixFSNode.of(block)
    except NotUnixFS:
        return None
