"""Collect garbage: mark what pinned roots reach, sweep the rest.

    from here on, blocks that are put or looked up count as in use      (so imports and pins go on meanwhile)
    for each root, complete or not:
        mark it and what it reaches *in this store*, reading only blocks that may link
    if the links of a block on the way could not be followed: stop here, for what lies below it is not known
    page by page over all blocks that were here at the start:
        remove those not marked and not used since

A block is marked as a bit by its row, so the memory is a bit a block, and the links of the nodes on one path.

What makes a block unfollowable: bytes that are not what its codec says, a codec or a nesting that is not
read here, a block that cannot be read. A missing block does so below a root that was whole once, where it was
lost; below others it did not come yet, and nothing that only it leads to is here because of that root.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.errors import BadBlock, DagTooLarge, LinksUnknown, StorageFull, UnknownCodec
from blockstore.ipld import decoding
from blockstore.ipld.dag_walk import grouped
from blockstore.leaf import is_leaf
from blockstore.sqlite.row_bitmap import RowBitmap
from blockstore.sqlite.statements import Row
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.sqlite.sweeper import Swept

_LOG = logging.getLogger(__name__)
_ROOTS_A_PAGE, _LEAVES_A_PAGE, _NODES_A_PAGE = 256, 256, 64
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


async def collect(store: SqliteBlockstore, roots: AsyncIterable[Root]) -> AsyncGenerator[Swept]:
    """Remove what no root reaches, in pages that say what went. `roots` is read to its end first.

    Safe beside imports that hold `store.protect()` and beside pins that record their root before they walk.
    The file keeps its size and fills the gaps; `give_back` shrinks it. Raises CollectorBusy; LinksUnknown,
    with nothing removed, where a root leads to a block whose links cannot be followed.
    """
    async with store.sweeper.collecting():
        marks = await _mark(store, roots)
        if marks.stops:
            raise _unknown(marks.stops)
        async for swept in store.sweeper.sweep(marks.keep):
            yield swept


async def give_back(store: SqliteBlockstore) -> None:
    """Return all free space of the file to the disk, in small steps between which others write.

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


async def _mark(store: SqliteBlockstore, roots: AsyncIterable[Root]) -> _Marks:
    marks = _Marks(store)
    page: list[Root] = []
    async for root in roots:
        page.append(root)
        if len(page) == _ROOTS_A_PAGE:
            await marks.reach(page)
            page = []
    await marks.reach(page)
    return marks


class _Marks:
    """What was reached so far."""

    def __init__(self, store: SqliteBlockstore) -> None:
        self._store = store
        self.keep = RowBitmap()
        self.stops: list[_Stop] = []
        """Where the links could not be followed."""
        # By codec: the same bytes may be named as a raw block here and as a node with links there.
        self._opened: defaultdict[int, RowBitmap] = defaultdict(RowBitmap)

    async def reach(self, roots: Sequence[Root]) -> None:
        """Mark these and, where recursive, what lies below: leaves before nodes, the deepest node first."""
        await self._mark([root.cid for root in roots if not root.recursive])
        leaves: list[_Node] = []
        nodes = [_Node(root.cid, root) for root in roots if root.recursive]
        while leaves or nodes:
            stack, width = (leaves, _LEAVES_A_PAGE) if leaves else (nodes, _NODES_A_PAGE)
            page = stack[-width:]
            del stack[-width:]
            rows = await self._mark([node.cid for node in page])
            async for part in decoding.turns(await self._below(self._unopened(page, rows))):
                for node in part:
                    (leaves if node.cid.codec == RAW else nodes).append(node)

    async def _mark(self, cids: Sequence[CID]) -> dict[bytes, Row]:
        found = await self._store.sweeper.rows(cids)
        for rows in found.values():
            for row in rows:
                self.keep.add(row.id)
        return {name: rows[0] for name, rows in found.items()}

    def _unopened(self, page: Sequence[_Node], rows: Mapping[bytes, Row]) -> list[tuple[_Node, int]]:
        """Those that may link and were not read before, with their sizes."""
        found: list[tuple[_Node, int]] = []
        for node in page:
            cid = node.cid
            row = rows.get(cid.multihash)
            if cid.is_identity and cid.codec != RAW:
                found.append((node, 0))
            elif row is None:
                self._miss(node)
            elif not is_leaf(cid, row.only_data) and row.id not in self._opened[cid.codec]:
                self._opened[cid.codec].add(row.id)
                found.append((node, row.size))
        return found

    def _miss(self, node: _Node) -> None:
        """A leaf has nothing below it; see above for the rest."""
        if node.root.whole and node.cid.codec != RAW:
            self._stop(node, "it was here, and is missing")

    async def _below(self, nodes: Sequence[tuple[_Node, int]]) -> list[_Node]:
        found: list[_Node] = []
        for group in grouped(nodes):
            blocks = await self._store.get_many([node.cid for node in group])
            for node, block in zip(group, blocks, strict=True):
                async for part in decoding.turns(await self._links(node, block)):
                    found += [_Node(cid, node.root) for cid in part]
        return found

    async def _links(self, node: _Node, block: Block | None) -> list[CID]:
        if block is None:
            if await self._store.sweeper.rows([node.cid]):
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
