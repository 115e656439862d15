"""Pins that move between the members of a simulated cluster, and their copies, counted all the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from blockstore.common.tasks import background
from support.memory_cluster import MemoryCluster, cid
from support.pinned_together import keep, seed


def copies(world: MemoryCluster, number: int) -> set[int]:
    """Machines that hold all of it."""
    roots = [machine.pins.roots.get(cid(number)) for machine in world.machines]
    return {place for place, root in enumerate(roots) if root is not None and root.complete}


@asynccontextmanager
async def never_fewer(world: MemoryCluster, numbers: Sequence[int], least: int) -> AsyncIterator[None]:
    """Copies of members that the pinset names, and copies on any disk: both are counted all the time."""
    lows: list[int] = []

    async def watch() -> None:
        while True:
            for number in numbers:
                named = {world.peers.index(peer) for peer in world.shared.pins[cid(number)].allocations}
                lows.append(len(copies(world, number) & named))
            await asyncio.sleep(0.05)

    async with background(watch()):
        yield
    assert min(lows) >= least


def spread(world: MemoryCluster, count: int, on: Sequence[int], low: int = 2, high: int = 2) -> range:
    for number in range(count):
        seed(world, number, [world.peers[machine] for machine in on], low=low, high=high)
    for machine in on:
        keep(world, machine, range(count))
    return range(count)
