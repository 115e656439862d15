"""Collect garbage by mark and sweep: mark what pinned roots reach, sweep the rest.

    from here on, blocks that are put or looked up count as in use      (so imports and pins go on meanwhile)
    for each root, complete or not:
        mark it and what it reaches *in this store*, reading only blocks that may link
    if the links of a block on the way could not be followed: stop here, for what lies below it is not known
    page by page over all blocks that were here at the start:
        remove those not marked and not used since

Leaves are marked by the index of the store alone. Memory: the store's marks, a bit a block, and the links of
the nodes on one path. Stopped at any moment, it has removed a part of the garbage and nothing else.

What makes a block unfollowable: bytes that are not what its codec says, a codec or a nesting that is not
read here, a block that cannot be read. A missing block does so below a root that was whole once, where it was
lost; below others it did not come yet, and nothing that only it leads to is here because of that root.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.common.grouped import grouped
from blockstore.errors import BadBlock, DagTooLarge, LinksUnknown, StorageFull, UnknownCodec
from blockstore.ipld import decoding
from blockstore.ipld.dag_walk import READ_BYTES
from blockstore.leaf import is_leaf
from blockstore.number_bitmap import NumberBitmap
from blockstore.store import NO_LIMIT
from blockstore.upkeep import CollectedStore, Collection, Located, Swept

_LOG = logging.getLogger(__name__)
_ROOTS_A_PAGE, _LEAVES_A_PAGE, _NODES_A_PAGE = 256, 1024, 64
_NAMED, _COUNTED = 4, 1000  # blocks that cannot be followed: in the error, and in memory


@dataclass(frozen=True, slots=True)
class Root:
    """A CID to keep, alone or with everything below it. `whole`: all of that was here once."""

    cid: CID
    recursive: bool = True
    whole: bool = False


class _Node(NamedTuple):
    """A block to be followed, and the root that led to it first."""

    cid: CID
    root: Root


@dataclass(frozen=True, slots=True)
class _Stop:
    node: _Node
    reason: str

    def __str__(self) -> str:
        below = "" if self.node.cid == self.node.root.cid else f" of pin {self.node.root.cid}"
        return f"block {self.node.cid}{below}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Marked:
    """How far marking is: roots that were gone through, and blocks that were reached, some of them twice."""

    roots: int
    blocks: int


async def collect(
    store: CollectedStore, roots: AsyncIterable[Root], need: int = NO_LIMIT
) -> AsyncGenerator[Marked | Swept]:
    """Remove what no root reaches, in steps that say what went. `roots` is read to its end first.

    It ends when `need` bytes are gone, those that were read lately last. Safe beside imports that hold
    `store.protect()` and beside pins that record their root before they walk.
    Files may keep their size and fill the gaps; `give_back` shrinks them. Raises CollectorBusy; LinksUnknown,
    with nothing removed, where a root leads to a block whose links cannot be followed.
    """
    async with store.collecting() as collection:
        marks = _Marks(store, collection)
        async for marked in _mark(marks, roots):
            yield marked
        if marks.stops:
            raise _unknown(marks.stops)
        async for swept in collection.sweep(need):
            yield swept


async def give_back(store: CollectedStore) -> None:
    """Return all free space of the files to the disk, in small steps between which others write.

    On a disk so full that moving pages finds no room, the space stays in the file and is filled first.
    """
    try:
        while await store.reclaim():
            pass
    except StorageFull as error:
        _LOG.warning("the space of the garbage is free in the store, and not on the disk yet: %s", error)


def _unknown(stops: Sequence[_Stop]) -> LinksUnknown:
    more = f"; and {len(stops) - _NAMED} more" if len(stops) > _NAMED else ""
    text = "; ".join(map(str, stops[:_NAMED])) + more
    error = LinksUnknown(
        f"nothing was removed, because what pins need cannot be known: the links of {text}. "
        "Unpin what cannot be followed, or bring the block back (pinning again does), then collect again"
    )
    _LOG.warning("garbage collection: %s", error)
    return error


async def _mark(marks: _Marks, roots: AsyncIterable[Root]) -> AsyncGenerator[Marked]:
    page: list[Root] = []
    count = 0
    async for root in roots:
        page.append(root)
        count += 1
        if len(page) == _ROOTS_A_PAGE:
            async for blocks in marks.reach(page):
                yield Marked(count, blocks)
            page = []
    async for blocks in marks.reach(page):
        yield Marked(count, blocks)


class _Marks:
    """What was reached so far."""

    def __init__(self, store: CollectedStore, collection: Collection) -> None:
        self._store = store
        self._collection = collection
        self._blocks = 0
        self.stops: list[_Stop] = []
        """Where the links could not be followed."""
        # By codec: the same bytes may be named as a raw block here and as a node with links there.
        self._opened: defaultdict[int, NumberBitmap] = defaultdict(NumberBitmap)

    async def reach(self, roots: Sequence[Root]) -> AsyncGenerator[int]:
        """Mark these and, where recursive, what lies below: leaves before nodes, the deepest node first.

        Says after each step how many blocks were reached.
        """
        await self._keep([root.cid for root in roots if not root.recursive])
        reached = [_Node(root.cid, root) for root in roots if root.recursive]
        leaves = [node for node in reached if node.cid.codec == RAW]
        nodes = [node for node in reached if node.cid.codec != RAW]
        while leaves or nodes:
            stack, width = (leaves, _LEAVES_A_PAGE) if leaves else (nodes, _NODES_A_PAGE)
            page = stack[-width:]
            del stack[-width:]
            await self._keep([node.cid for node in page])
            if stack is nodes:
                async for part in decoding.turns(await self._below(await self._unopened(page))):
                    for node in part:
                        (leaves if node.cid.codec == RAW else nodes).append(node)
            yield self._blocks

    async def _keep(self, cids: Sequence[CID]) -> None:
        await self._collection.keep(cids)
        self._blocks += len(cids)

    async def _unopened(self, page: Sequence[_Node]) -> list[tuple[_Node, int]]:
        """Those that may link and were not read before, with their sizes."""
        found: list[tuple[_Node, int]] = []
        located = await self._store.located([node.cid for node in page])
        for node in page:
            if node.cid.is_identity and node.cid.codec != RAW:
                found.append((node, 0))
            elif (block := located.get(node.cid.multihash)) is None:
                self._miss(node)
            elif self._opens(node.cid, block):
                found.append((node, block.size))
        return found

    def _opens(self, cid: CID, block: Located) -> bool:
        """Whether it may link and is met for the first time."""
        if is_leaf(cid, block.only_data) or block.number in self._opened[cid.codec]:
            return False
        self._opened[cid.codec].add(block.number)
        return True

    def _miss(self, node: _Node) -> None:
        """A leaf has nothing below it; see above for the rest."""
        if node.root.whole and node.cid.codec != RAW:
            self._stop(node, "it was here, and is missing")

    async def _below(self, nodes: Sequence[tuple[_Node, int]]) -> list[_Node]:
        found: list[_Node] = []
        for group in grouped(nodes, READ_BYTES):
            blocks = await self._store.get_many([node.cid for node in group])
            for node, block in zip(group, blocks, strict=True):
                async for part in decoding.turns(await self._links(node, block)):
                    found += [_Node(cid, node.root) for cid in part]
        return found

    async def _links(self, node: _Node, block: Block | None) -> list[CID]:
        if block is None:
            if await self._store.located([node.cid]):
                self._stop(node, "it cannot be read")
            else:  # it was cached, and made way just now
                self._miss(node)
            return []
        try:
            return await decoding.links(block)
        except (BadBlock, UnknownCodec, DagTooLarge) as error:
            self._stop(node, str(error))
            return []

    def _stop(self, node: _Node, reason: str) -> None:
        if len(self.stops) < _COUNTED:
            self.stops.append(_Stop(node, reason))
