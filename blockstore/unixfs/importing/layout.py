"""The chunks of a file as a DAG: balanced (all leaves at one depth) or trickle (leaves near the root first).

Chunks come one by one, and a block leaves as soon as nothing can change it any more; what is held is the
links of the nodes on the way from the root to the last leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from blockstore.block import Block
from blockstore.cid import DAG_PB, RAW
from blockstore.common import varint
from blockstore.ipld.dag_pb import PBLink
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.nodes import NO_STAT, Child, Emit, FileMetadata, Namer

_TRICKLE_REPEAT = 4  # sub-trees of each depth, before the next ones are one deeper


class FileLayout(Protocol):
    """Takes the chunks of one file in order, then gives its root. Chunks are never empty."""

    def add(self, chunk: bytes) -> None: ...

    def finish(self) -> Child: ...


@dataclass(frozen=True, slots=True)
class FileNodes:
    """How the nodes of one file are written, and where their blocks go. `stat` is for the root alone."""

    namer: Namer
    raw_leaves: bool
    max_links: int
    stat: FileMetadata
    emit: Emit

    def leaf(self, chunk: bytes, kind: NodeType) -> Child:
        if self.raw_leaves:
            block = self.namer.block(chunk, RAW)
        else:
            block = self.namer.block(_leaf_bytes(chunk, kind), DAG_PB)
        return self._emitted(block, len(block.data), len(chunk))

    def only_leaf(self, chunk: bytes) -> Child:
        """The root of a file of at most one chunk. A raw one has no room for a mode or a time."""
        if self.raw_leaves or (chunk and self.stat == NO_STAT):
            return self.leaf(chunk, NodeType.FILE)
        block = self.namer.node(self._file(len(chunk), chunk or None, (), self.stat))
        return self._emitted(block, len(block.data), len(chunk))

    def parent(self, children: Sequence[Child], *, root: bool) -> Child:
        sizes = tuple(child.filesize for child in children)
        links = tuple(PBLink(child.cid, "", child.tsize) for child in children)
        block = self.namer.node(self._file(sum(sizes), None, sizes, self.stat if root else NO_STAT), links)
        tsize = len(block.data) + sum(child.tsize for child in children)
        return self._emitted(block, tsize, sum(sizes))

    def _emitted(self, block: Block, tsize: int, filesize: int) -> Child:
        self.emit(block)
        return Child(block.cid, tsize, filesize)

    @staticmethod
    def _file(size: int, data: bytes | None, sizes: tuple[int, ...], stat: FileMetadata) -> UnixFSData:
        # Kubo writes a file's mode only where it is not zero; a directory's it writes either way.
        return UnixFSData(NodeType.FILE, data, size, sizes, mode=stat.mode or None, mtime=stat.mtime)


def _leaf_bytes(chunk: bytes, kind: NodeType) -> bytes:
    """The dag-pb bytes of a leaf, put together here so that the chunk is copied once."""
    size = varint.encode(len(chunk))
    head = b"\x08" + bytes((kind,)) + b"\x12" + size
    length = varint.encode(len(head) + len(chunk) + 1 + len(size))
    return b"".join((b"\x0a", length, head, chunk, b"\x18", size))


class BalancedLayout:
    """Kubo's default: nodes of `max_links` children, level over level, every leaf at the same depth."""

    def __init__(self, nodes: FileNodes) -> None:
        self._nodes = nodes
        self._first: bytes | None = None  # kept until a second chunk says that it is not the root
        self._levels: list[list[Child]] = [[]]

    def add(self, chunk: bytes) -> None:
        if self._levels[0]:
            self._push(0, self._nodes.leaf(chunk, NodeType.FILE))
        elif self._first is None:
            self._first = chunk
        else:
            self._push(0, self._nodes.leaf(self._first, NodeType.FILE))
            self._push(0, self._nodes.leaf(chunk, NodeType.FILE))

    def finish(self) -> Child:
        if not self._levels[0]:
            return self._nodes.only_leaf(self._first or b"")
        level = 0
        while level + 1 < len(self._levels):  # closing one may open another above
            self._push(level + 1, self._nodes.parent(self._levels[level], root=False))
            level += 1
        return self._nodes.parent(self._levels[-1], root=True)

    def _push(self, level: int, child: Child) -> None:
        """A full node becomes a child of the level above only when one more comes: the last is the root's."""
        if level == len(self._levels):
            self._levels.append([])
        if len(self._levels[level]) == self._nodes.max_links:
            full = self._levels[level]
            self._levels[level] = []
            self._push(level + 1, self._nodes.parent(full, root=False))
        self._levels[level].append(child)


@dataclass(slots=True)
class _Growing:
    """A trickle node being filled: leaves first, then four sub-trees of each depth below its own."""

    depth: int  # 0: the root, which has no limit
    children: list[Child] = field(default_factory=list)

    def next_depth(self, max_links: int) -> int | None:
        """Depth of the sub-tree that goes in next; 0 for a leaf, None when the node is full."""
        if len(self.children) < max_links:
            return 0
        depth = 1 + (len(self.children) - max_links) // _TRICKLE_REPEAT
        return depth if not self.depth or depth < self.depth else None


class TrickleLayout:
    """Kubo's layout for streams: there is always a root above the leaves, and dag-pb leaves have type Raw."""

    def __init__(self, nodes: FileNodes) -> None:
        self._nodes = nodes
        self._path = [_Growing(0)]

    def add(self, chunk: bytes) -> None:
        while (depth := self._path[-1].next_depth(self._nodes.max_links)) != 0:
            if depth is None:
                self._close()
            else:
                self._path.append(_Growing(depth))
        self._path[-1].children.append(self._nodes.leaf(chunk, NodeType.RAW))

    def finish(self) -> Child:
        while len(self._path) > 1:
            self._close()
        return self._nodes.parent(self._path[0].children, root=True)

    def _close(self) -> None:
        done = self._path.pop()
        self._path[-1].children.append(self._nodes.parent(done.children, root=False))
