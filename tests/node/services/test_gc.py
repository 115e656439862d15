"""Unpinned blocks go when garbage is collected; what is pinned stays, here until its holders have it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from support.collecting import sweeps
from support.node import eventually, running_node
from support.pairs import quick

from blockstore.block import Block
from blockstore.cid import CID
from cluster.interfaces import Role
from cluster.pin import PinOptions
from node.node import Node
from node.parts import Parts
from node.services.gc import HeldBackPin


async def pinned_here(parts: Parts, cid: CID, wanted: bool) -> None:
    async def check() -> bool:
        root = await parts.garbage_collection.pins.get(cid)
        return (root is not None and root.complete) is wanted

    await eventually(check)


async def collected(parts: Parts) -> tuple[list[bytes], list[str]]:
    """What went, and why what was held back was."""
    held: list[HeldBackPin] = []
    steps = parts.garbage_collection.run(held.append)
    went = [cid.multihash async for page in sweeps(steps) for cid in page.cids]
    return went, [f"{one.pin.cid} {one.reason}" for one in held]


async def test_unpinned_blocks_go_and_pinned_ones_stay(tmp_path: Path) -> None:
    async with running_node(tmp_path, offline=True) as node:
        parts = node.parts
        kept, gone = Block.of(b"kept"), Block.of(b"gone")
        await parts.store.put_many([kept, gone])
        for block in (kept, gone):
            await parts.cluster.pin(block.cid, PinOptions())
            await pinned_here(parts, block.cid, True)
        await parts.cluster.unpin(gone.cid)
        assert await collected(parts) == ([gone.cid.multihash], [])
        assert await parts.store.has(kept.cid)


async def test_a_pin_of_this_node_keeps_its_blocks_before_its_walk_has_begun(tmp_path: Path) -> None:
    async with running_node(tmp_path, offline=True) as node:
        parts = node.parts
        block = Block.of(b"waits in the queue")
        await parts.store.put_many([block])
        await parts.cluster.pin(block.cid, PinOptions())
        await pinned_here(parts, block.cid, True)
        await parts.garbage_collection.pins.unpin(block.cid)
        assert await collected(parts) == ([], [])


@asynccontextmanager
async def member(folder: Path, quota: int = 0, token: str | None = None) -> AsyncIterator[Node]:
    config = quick()
    config = replace(config, storage=replace(config.storage, quota=quota))
    async with running_node(folder, config, offline=False, token=token) as node:
        yield node


@asynccontextmanager
async def pair(folder: Path, quota: int = 0) -> AsyncIterator[tuple[Node, Node]]:
    """Two members that know each other; `quota` is the second's."""
    async with member(folder / "a") as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        async with member(folder / "b", quota, token) as b:
            await known_to(a, b)
            yield a, b


async def known_to(node: Node, other: Node) -> None:
    """What it takes to be given pins."""

    async def check() -> bool:
        found = node.parts.cluster.metrics.valid("freespace")
        connected = other.parts.peer in node.parts.cluster.peers.us().connected
        return connected and any(metric.peer == other.parts.peer for metric in found)

    await eventually(check)


async def added_for(node: Node, other: Node, data: bytes) -> CID:
    """Stored at the one, to be held by the other alone, whether or not it has room for it."""
    block = Block.of(data)
    await node.parts.blocks.put_many([block])
    only = PinOptions(replication_min=1, replication_max=1, user_allocations=(other.parts.peer,))
    assert (await node.parts.cluster.pin(block.cid, only)).allocations == (other.parts.peer,)
    return block.cid


async def says(node: Node, cid: CID, other: Node, status: str, reason: str = "") -> None:
    """What the status of that pin at that member comes to, and a part of its reason."""

    async def check() -> bool:
        info = (await node.parts.cluster.statuses.one(cid)).peers[other.parts.peer]
        return info.status.value == status and reason in info.error

    await eventually(check)


async def test_what_was_added_for_a_member_that_is_full_stays_until_it_has_it(tmp_path: Path) -> None:
    async with member(tmp_path / "a") as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        async with member(tmp_path / "b", 10_000, token) as b:
            await known_to(a, b)
            cid = await added_for(a, b, b"too large for b" * 1000)
            await says(a, cid, b, "pin_error", "storage quota reached: 0 B of 9.766 KiB used")
            reason = f"{cid} 0 of the 1 members that are to hold it say that they do"
            assert await collected(a.parts) == ([], [reason])
        # A member that cannot be asked holds nothing for certain.
        assert await collected(a.parts) == ([], [reason])
        async with member(tmp_path / "b") as b:
            await known_to(a, b)
            await b.parts.cluster.statuses.recover(cid)
            await says(a, cid, b, "pinned")
            assert await collected(a.parts) == ([cid.multihash], [])


async def test_what_was_added_for_others_goes_with_its_pin(tmp_path: Path) -> None:
    async with pair(tmp_path, quota=10_000) as (a, b):
        cid = await added_for(a, b, b"too large for b" * 1000)
        await says(a, cid, b, "pin_error")  # while it asks for the block, that counts as use
        assert (await collected(a.parts))[0] == []
        await a.parts.cluster.unpin(cid)

        async def gone() -> bool:
            return await collected(a.parts) == ([cid.multihash], [])

        await eventually(gone)


async def test_a_holder_that_lost_its_copy_keeps_the_one_that_is_left(tmp_path: Path) -> None:
    async with pair(tmp_path) as (a, b):
        cid = await added_for(a, b, b"small")
        await says(a, cid, b, "pinned")
        await b.parts.garbage_collection.pins.unpin(cid)
        assert (await collected(a.parts))[0] == []
        await b.parts.cluster.statuses.recover(cid)
        await says(a, cid, b, "pinned")
        assert await collected(a.parts) == ([cid.multihash], [])
