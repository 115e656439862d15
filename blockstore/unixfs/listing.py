"""Directories read: entries one after the other, or one by name. Entries' own blocks are never fetched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BadBlock, NoLink, NotUnixFS
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink
from blockstore.ipld.decoding import at_once, beside
from blockstore.prefetch.prefetch_walk import PrefetchWalk
from blockstore.prefetch.window import prefetching
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.decoded import DIRECTORIES, UnixFSNode, message, node_of
from blockstore.unixfs.hamt import Shard

_A_TURN = 256  # entries after which others have their turn


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A name in a directory; `tsize` is the bytes of the DAG below, as the directory's writer claims."""

    name: str
    cid: CID
    tsize: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """The link with a name (None: there is none), and the shards read below the directory's root to know."""

    link: PBLink | None
    shards: tuple[CID, ...] = ()


async def list_directory(blocks: BlockSource, cid: CID) -> AsyncGenerator[DirectoryEntry]:
    """Entries in the order the directory holds them: by name when it is one block, by hash when it is a HAMT.

    Shards are fetched as the listing proceeds; close it (`contextlib.aclosing`) to withdraw what is being
    fetched. Raises NotUnixFS, BadBlock, BlockNotFound.
    """
    block = await blocks.get(cid)
    data = await beside(_message, block) if cid.codec == DAG_PB else None
    if data is not None and data.type == NodeType.DIRECTORY:
        for count, link in enumerate(dag_pb.each_link(block.data), 1):
            yield DirectoryEntry(link.name or "", link.cid, link.tsize)
            if count % _A_TURN == 0:
                await asyncio.sleep(0)
    elif data is not None and data.type == NodeType.HAMT:
        node = await node_of(block)
        async with aclosing(_sharded(blocks, Shard.of(node.pb, node.data, 0))) as entries:
            async for entry in entries:
                yield entry
    else:
        raise NotUnixFS(f"{cid} is not a directory")


async def lookup(blocks: BlockSource, cid: CID, name: str) -> DirectoryEntry:
    """One entry; of a HAMT only the shards on the way are read.

    Raises NoLink, NotUnixFS, BadBlock, BlockNotFound.
    """
    block = await blocks.get(cid)
    data = await beside(_message, block) if cid.codec == DAG_PB else None
    if data is None or data.type not in DIRECTORIES:
        raise NotUnixFS(f"{cid} is not a directory")
    link = (await find_link(blocks, block, name)).link
    if link is None:
        raise NoLink(name, cid)
    return DirectoryEntry(name, link.cid, link.tsize)


async def find_link(blocks: BlockSource, block: Block, name: str) -> Found:
    """A named link of a dag-pb block: a directory, a HAMT or a plain node. Raises BadBlock, BlockNotFound."""
    data = await beside(_message, block)
    if data is None or data.type != NodeType.HAMT:
        return Found(await beside(lambda node: dag_pb.find_link(node.data, name), block))
    shard = Shard.of((await node_of(block)).pb, data, 0)
    walked: list[CID] = []
    link = shard.find(name)
    while link is not None and not shard.entry_name(link):
        shard = await _child(shard, await blocks.get(link.cid))
        walked.append(link.cid)
        link = shard.find(name)
    return Found(link, tuple(walked))


async def _sharded(blocks: BlockSource, root: Shard) -> AsyncGenerator[DirectoryEntry]:
    async with prefetching(blocks) as window:
        prefetch_walk = PrefetchWalk(window, partial(_shards_below, root))
        stack = [(link, root) for link in reversed(root.links)]
        while stack:
            link, shard = stack.pop()
            name = shard.entry_name(link)
            if name:
                yield DirectoryEntry(name, link.cid, link.tsize)
                continue
            following = (other.cid for other, at in reversed(stack) if at.leads_down(other))
            child = await _child(shard, await prefetch_walk.take(link.cid, following))
            stack += [(link, child) for link in reversed(child.links)]


def _shards_below(root: Shard, block: Block) -> list[CID]:
    """By the length of a link's name, which is the same in all shards. Raises BadBlock, NotUnixFS."""
    if not at_once(block):
        return []  # decoded once, in its turn
    return [link.cid for link in UnixFSNode.of(block).links if root.leads_down(link)]


def _message(block: Block) -> UnixFSData | None:
    """What a dag-pb block says as UnixFS; None where it is plain dag-pb, whose data may be anything."""
    found = message(dag_pb.node_data(block.data))
    return found if isinstance(found, UnixFSData) else None


async def _child(parent: Shard, block: Block) -> Shard:
    node = await node_of(block)
    if node.data.type != NodeType.HAMT or node.data.fanout != parent.fanout:
        raise BadBlock(f"{block.cid} is not a shard of fanout {parent.fanout} like the one above it")
    return Shard.of(node.pb, node.data, parent.level + 1)
