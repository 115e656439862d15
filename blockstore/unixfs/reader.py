"""Files read: what a CID is, and the bytes of a file or of a range of it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.errors import BadBlock, BlockstoreError, NotUnixFS
from blockstore.ipld.decoding import at_once, beside
from blockstore.prefetch.window import SMALL, Prefetched, PrefetchWindow, prefetching
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.decoded import DIRECTORIES, FILES, Outline, UnixFSNode, node_of

MAX_FILE_DEPTH = 256  # balanced trees have five levels, trickle trees some thirty


Kind = Literal["file", "directory", "symlink"]


@dataclass(frozen=True, slots=True)
class UnixFSStat:
    """What a node says of itself.

    `size` is the bytes of a file or of a symlink's target, 0 for a directory; `cumulative` the bytes of all
    blocks of the DAG, as its links claim; `links` their number in the root; `mode` and `mtime` are None where
    not recorded, `target` (of a symlink) for everything else.
    """

    cid: CID
    kind: Kind
    size: int
    cumulative: int
    links: int
    sharded: bool
    mode: int | None
    mtime: tuple[int, int] | None
    target: bytes | None


async def stat(blocks: BlockSource, cid: CID) -> UnixFSStat:
    """Look at the root block. Raises NotUnixFS, BadBlock, BlockNotFound."""
    return await stat_of(await blocks.get(cid))


async def stat_of(root: Block) -> UnixFSStat:
    """What `stat` says, of a root block that is at hand. Raises NotUnixFS, BadBlock."""
    return await beside(describe, root)


def describe(root: Block) -> UnixFSStat:
    """As `stat_of`; of a large block it takes up to a second, and keeps an event loop for so long."""
    outline = Outline.of(root)
    data = outline.data
    target = data.data or b"" if data.type == NodeType.SYMLINK else None
    return UnixFSStat(
        cid=root.cid,
        kind=_kind(outline),
        size=_file_size(root.cid, data, outline.links) if data.type in FILES else len(target or b""),
        cumulative=len(root.data) + outline.tsize,
        links=outline.links,
        sharded=data.type == NodeType.HAMT,
        mode=data.mode,
        mtime=data.mtime,
        target=target,
    )


async def read_file(
    blocks: BlockSource, cid: CID, start: int = 0, stop: int | None = None, *, root: Block | None = None
) -> AsyncGenerator[bytes]:
    """The bytes from `start` up to `stop` (None: the end), in pieces of at most a block.

    Only blocks that the range needs are read, ahead of what was given out: as far as `PrefetchWindow` says.
    A range beyond the end gives what there is. `root` is the block of that CID, where the caller has it.
    Close it (`contextlib.aclosing`) to withdraw what is being fetched.
    Raises NotUnixFS, BlockNotFound; BadBlock also where a block's size is not what its parent says.
    """
    root = root or await blocks.get(cid)
    node = await node_of(root)
    size = _file_size(cid, node.data, len(node.links))
    start, stop = max(start, 0), size if stop is None else max(stop, 0)
    if piece := (node.data.data or b"")[start:stop]:
        yield piece
    if not (parts := _children(node, _Item(cid, 0, size, 0), start, stop)):
        return
    async with (
        prefetching(blocks) as window,
        aclosing(_Reader(window, parts, start, stop).pieces()) as pieces,
    ):
        async for piece in pieces:
            yield piece


@dataclass(slots=True, eq=False)
class _Item:
    """A DAG, and the bytes of the file that it holds as its parent says. `opened`: its children are known."""

    cid: CID
    start: int
    size: int
    depth: int
    prefetched: Prefetched | None = None
    opened: bool = False

    @property
    def is_node(self) -> bool:
        """Of more bytes than a block holds."""
        return self.size > MAX_BLOCK_BYTES

    @property
    def cost(self) -> int:
        """Bytes that its root is taken to have; a small one is not believed."""
        return SMALL if self.is_node else max(self.size, SMALL)


class _Reader:
    """The range in order. What was asked for is in `_coming`, what follows on `_stack`, the next one last."""

    def __init__(self, window: PrefetchWindow, parts: Sequence[_Item], start: int, stop: int) -> None:
        self._window = window
        self._start = start
        self._stop = stop
        self._stack = list(reversed(parts))
        self._coming: deque[_Item] = deque()

    async def pieces(self) -> AsyncGenerator[bytes]:
        self._ask()
        while self._coming:
            item = self._coming.popleft()
            node = await self._take(item)
            if node.links and not item.opened:
                self._stack += reversed(self._coming)
                self._coming.clear()
                self._open(item, node)
            self._ask()
            data = node.data.data or b""
            if piece := data[max(self._start - item.start, 0) : max(self._stop - item.start, 0)]:
                yield piece

    async def _take(self, item: _Item) -> UnixFSNode:
        # Its bytes are not to live as long as what knows of the item.
        prefetched, item.prefetched = item.prefetched, None
        assert prefetched is not None
        node = await node_of(await self._window.take(prefetched))
        _check_size(node, item)
        return node

    def _ask(self) -> None:
        """Ask for what comes next: for one block in any case, for more as there is room."""
        room = self._window.room
        new: list[_Item] = []
        while self._stack and self._knows_more():
            item = self._stack[-1]
            if item.prefetched is None:
                if item.cost > room and self._coming:
                    break
                room -= item.cost
                new.append(item)
            self._coming.append(self._stack.pop())
        begun = self._window.begin([(item.cid, item.cost) for item in new])
        for item, prefetched in zip(new, begun, strict=True):
            item.prefetched = prefetched

    def _knows_more(self) -> bool:
        """Whether the stack has what comes next: below a node, only once that has come."""
        last = self._coming[-1] if self._coming else None
        if last is None or not last.is_node or last.opened:
            return True
        block = last.prefetched.arrived if last.prefetched else None
        if block is None or not at_once(block):
            return False
        try:
            self._open(last, UnixFSNode.of(block))
        except BlockstoreError:
            return False  # its error is raised in its turn
        return True

    def _open(self, item: _Item, node: UnixFSNode) -> None:
        self._stack += reversed(_children(node, item, self._start, self._stop))
        item.opened = True


def _children(node: UnixFSNode, item: _Item, start: int, stop: int) -> list[_Item]:
    """Those that hold bytes of the range, in order."""
    if item.depth == MAX_FILE_DEPTH:
        raise BadBlock(f"file {node.cid} is deeper than {MAX_FILE_DEPTH} levels")
    found: list[_Item] = []
    offset = item.start + len(node.data.data or b"")
    for link, size in zip(node.links, node.data.blocksizes, strict=True):
        if size and offset < stop and offset + size > start:
            found.append(_Item(link.cid, offset, size, item.depth + 1))
        offset += size
    return found


def _check_size(node: UnixFSNode, item: _Item) -> None:
    size = _file_size(node.cid, node.data, len(node.links))
    if size != item.size:
        raise BadBlock(f"block {node.cid} holds {size} bytes of the file; its parent says {item.size}")


def _file_size(cid: CID, data: UnixFSData, links: int) -> int:
    """Bytes of the file below a node. Raises NotUnixFS; BadBlock where its figures contradict each other."""
    if data.type not in FILES:
        raise NotUnixFS(f"{cid} is not a file")
    if len(data.blocksizes) != links:
        raise BadBlock(f"file {cid} has {links} links and {len(data.blocksizes)} block sizes")
    size = len(data.data or b"") + sum(data.blocksizes)
    if data.filesize not in (None, size):
        raise BadBlock(f"file {cid} says it has {data.filesize} bytes; its parts have {size}")
    return size


def _kind(node: Outline) -> Kind:
    if node.data.type in FILES:
        return "file"
    if node.data.type in DIRECTORIES:
        return "directory"
    if node.data.type == NodeType.SYMLINK:
        return "symlink"
    raise NotUnixFS(f"{node.cid} is UnixFS of type {node.data.type.name}, which is no file or directory")
