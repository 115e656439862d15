"""Unpinned blocks go when garbage is collected; what is pinned, or being spread, stays."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from support.node import eventually, running_node

from blockstore.block import Block
from blockstore.cid import CID
from cluster.pin import PinOptions
from node.collecting import SPREADING, Collecting
from node.parts import Parts


async def pinned_here(parts: Parts, cid: CID, wanted: bool) -> None:
    async def check() -> bool:
        root = await parts.collecting.pins.get(cid)
        return (root is not None and root.complete) is wanted

    await eventually(check)


async def removed_by(collecting: Collecting) -> list[bytes]:
    return [cid.multihash async for swept in collecting.run() for cid in swept.cids]


async def test_unpinned_blocks_go_and_pinned_ones_stay(tmp_path: Path) -> None:
    async with running_node(tmp_path, offline=True) as node:
        parts = node.parts
        kept, gone = Block.of(b"kept"), Block.of(b"gone")
        await parts.store.put_many([kept, gone])
        for block in (kept, gone):
            await parts.cluster.pin(block.cid, PinOptions())
            await pinned_here(parts, block.cid, True)
        await parts.cluster.unpin(gone.cid)
        await pinned_here(parts, gone.cid, False)
        assert await removed_by(parts.collecting) == [gone.cid.multihash]
        assert await parts.store.has(kept.cid)


async def test_a_pin_that_other_members_may_still_be_fetching_keeps_its_blocks_here(tmp_path: Path) -> None:
    async with running_node(tmp_path, offline=True) as node:
        parts = node.parts
        block = Block.of(b"added here, to be held elsewhere")
        await parts.store.put_many([block])
        await parts.cluster.pin(block.cid, PinOptions())
        await pinned_here(parts, block.cid, True)
        await parts.collecting.pins.unpin(block.cid)  # as on a machine that is not among its holders
        assert await removed_by(parts.collecting) == []
        later = replace(parts.collecting, now=lambda: time.time() + SPREADING + 1)
        assert await removed_by(later) == [block.cid.multihash]
