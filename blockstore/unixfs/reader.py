"""Files read: what a CID is, and the bytes of a file or of a range of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, NamedTuple

from blockstore.ahead import Share, one_ahead, reading
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BadBlock, NotUnixFS
from blockstore.service import BlockSource
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.decoded import DIRECTORIES, FILES, Outline, UnixFSNode
from blockstore.unixfs.listing import DirectoryEntry, list_directory, lookup

__all__ = ["DirectoryEntry", "UnixFSStat", "describe", "list_directory", "lookup", "read_file", "stat"]

MAX_FILE_DEPTH = 256  # balanced trees have five levels, trickle trees some thirty

_FIRST_BATCH = 512 * 1024
_BATCH_BLOCKS = 32  # whatever sizes a parent claims for them

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
    return describe(await blocks.get(cid))


def describe(root: Block) -> UnixFSStat:
    """What `stat` says, of a root block that is at hand. Raises NotUnixFS, BadBlock."""
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

    Only blocks that the range needs are read, some 2 MiB ahead of what was given out, less where many read.
    A range beyond the end gives what there is. `root` is the block of that CID, where the caller has it.
    Close it (`contextlib.aclosing`) to withdraw what is being fetched.
    Raises NotUnixFS, BlockNotFound; BadBlock also where a block's size is not what its parent says.
    """
    root = root or await blocks.get(cid)
    node = UnixFSNode.of(root)
    size = _file_size(cid, node.data, len(node.links))
    start, stop = max(start, 0), size if stop is None else max(stop, 0)
    if piece := (node.data.data or b"")[start:stop]:
        yield piece
    if not (parts := _children(node, _Item(cid, 0, size, 0), start, stop)):
        return
    with reading() as share:
        batches = _batches(blocks, parts[::-1], start, stop, share)
        async with aclosing(one_ahead(batches, share)) as fetched:
            async for pieces in fetched:
                for piece in filter(None, pieces):
                    yield piece


class _Item(NamedTuple):
    """A DAG, the bytes of the file that it holds as its parent says, and its root where that is read."""

    cid: CID
    start: int
    size: int
    depth: int
    block: Block | None = None


async def _batches(
    blocks: BlockSource, stack: list[_Item], start: int, stop: int, share: Share
) -> AsyncGenerator[list[bytes]]:
    """The range in order, as many pieces at once as one request brings; `stack` has what comes first last."""
    budget = _FIRST_BATCH
    while stack:
        batch = await _load(blocks, _take(stack, budget))
        pieces: list[bytes] = []
        for position, (item, block) in enumerate(batch):
            node = UnixFSNode.of(block)
            _check_size(node, item)
            data = node.data.data or b""
            pieces.append(data[max(start - item.start, 0) : max(stop - item.start, 0)])
            if node.links:  # its children come before the rest of the batch
                stack += (late._replace(block=block) for late, block in reversed(batch[position + 1 :]))
                stack += reversed(_children(node, item, start, stop))
                break
        budget = min(2 * budget, share() // 2)
        yield pieces


def _take(stack: list[_Item], budget: int) -> list[_Item]:
    """The next items to load together; one of many bytes is a node, and is loaded alone."""
    items: list[_Item] = []
    total = 0
    while stack and len(items) < _BATCH_BLOCKS and (not items or total + stack[-1].size <= budget):
        items.append(stack.pop())
        total += items[-1].size
    return items


async def _load(blocks: BlockSource, items: list[_Item]) -> list[tuple[_Item, Block]]:
    missing = [item.cid for item in items if item.block is None]
    found = iter(await blocks.get_many(missing) if missing else ())
    return [(item, item.block or next(found)) for item in items]


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
