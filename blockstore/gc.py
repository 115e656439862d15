"""Collect garbage: mark what pinned roots reach, sweep the rest.

    from here on, blocks that are put or looked up count as in use      (so imports and pins go on meanwhile)
    for each root, complete or not:
        mark it and what it reaches *in this store*, reading only blocks that may link
    page by page over all blocks that were here at the start:
        remove those not marked and not used since

A block is marked as a bit by its row, so the memory is a bit a block, and the links of the nodes on one path.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from dataclasses import dataclass

from blockstore import codecs
from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.dag import grouped
from blockstore.errors import BadBlock, UnknownCodec
from blockstore.rowset import RowSet
from blockstore.sqlite import SqliteBlockstore, Swept
from blockstore.sqlite_rows import Row
from blockstore.store import is_leaf

_LOG = logging.getLogger(__name__)
_ROOTS_A_PAGE, _LEAVES_A_PAGE, _NODES_A_PAGE = 256, 256, 64


@dataclass(frozen=True, slots=True)
class Root:
    """A CID to keep, alone or with everything below it."""

    cid: CID
    recursive: bool = True


async def collect(store: SqliteBlockstore, roots: AsyncIterable[Root]) -> AsyncGenerator[Swept]:
    """Remove what no root reaches, in pages that say what went. `roots` is read to its end first.

    Safe beside imports that hold `store.protect()` and beside pins that record their root before they walk.
    The file keeps its size and fills the gaps; `give_back` shrinks it. Raises CollectorBusy.
    """
    async with store.collecting():
        keep = await _mark(store, roots)
        async for swept in store.sweep(keep):
            yield swept


async def give_back(store: SqliteBlockstore) -> None:
    """Return all free space of the file to the disk, in small steps between which others write."""
    while await store.reclaim():
        pass


async def _mark(store: SqliteBlockstore, roots: AsyncIterable[Root]) -> RowSet:
    marks = _Marks(store)
    page: list[Root] = []
    async for root in roots:
        page.append(root)
        if len(page) == _ROOTS_A_PAGE:
            await marks.reach(page)
            page = []
    await marks.reach(page)
    return marks.keep


class _Marks:
    """What was reached so far."""

    def __init__(self, store: SqliteBlockstore) -> None:
        self._store = store
        self.keep = RowSet()
        # By codec: the same bytes may be named as a raw block here and as a node with links there.
        self._opened: defaultdict[int, RowSet] = defaultdict(RowSet)

    async def reach(self, roots: Sequence[Root]) -> None:
        """Mark these and, where recursive, what lies below: leaves before nodes, the deepest node first."""
        await self._mark([root.cid for root in roots if not root.recursive])
        leaves: list[CID] = []
        nodes = [root.cid for root in roots if root.recursive]
        while leaves or nodes:
            stack, width = (leaves, _LEAVES_A_PAGE) if leaves else (nodes, _NODES_A_PAGE)
            page = stack[-width:]
            del stack[-width:]
            for cid in await self._links(self._unopened(page, await self._mark(page))):
                (leaves if cid.codec == RAW else nodes).append(cid)

    async def _mark(self, cids: Sequence[CID]) -> dict[bytes, Row]:
        found = await self._store.rows(cids)
        for rows in found.values():
            for row in rows:
                self.keep.add(row.id)
        return {name: rows[0] for name, rows in found.items()}

    def _unopened(self, cids: Sequence[CID], rows: Mapping[bytes, Row]) -> list[tuple[CID, int]]:
        """Those that may link and were not read before, with their sizes."""
        found: list[tuple[CID, int]] = []
        for cid in cids:
            row = rows.get(cid.multihash)
            if cid.is_identity and cid.codec != RAW:
                found.append((cid, 0))
            elif row and not is_leaf(cid, row.only_data) and row.id not in self._opened[cid.codec]:
                self._opened[cid.codec].add(row.id)
                found.append((cid, row.size))
        return found

    async def _links(self, nodes: Sequence[tuple[CID, int]]) -> list[CID]:
        found: list[CID] = []
        for group in grouped(nodes):
            for block in await self._store.get_many(group):
                if block is not None:
                    found += _links(block)
        return found


def _links(block: Block) -> list[CID]:
    try:
        return codecs.links(block)
    except (BadBlock, UnknownCodec) as error:
        # No walk passes it either: what may lie below was never pinned by way of it.
        _LOG.warning("garbage collection cannot follow the links of %s: %s", block.cid, error)
        return []
