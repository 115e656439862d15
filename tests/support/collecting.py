"""Garbage collected in a test: what went, without the progress."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing

from blockstore.pinning import gc
from blockstore.pinning.gc import Marked, Root
from blockstore.store import NO_LIMIT
from blockstore.upkeep import CollectedStore, Swept


async def each(roots: Iterable[Root]) -> AsyncIterator[Root]:
    for root in roots:
        yield root


async def sweeps(steps: AsyncGenerator[Marked | Swept]) -> AsyncGenerator[Swept]:
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Swept):
                yield step


def swept(store: CollectedStore, roots: AsyncIterable[Root], need: int = NO_LIMIT) -> AsyncGenerator[Swept]:
    """What goes when garbage is collected, as it goes."""
    return sweeps(gc.collect(store, roots, need))


async def names_swept(store: CollectedStore, roots: AsyncIterable[Root], need: int = NO_LIMIT) -> set[bytes]:
    """The multihashes of all that goes."""
    return {cid.multihash async for one in swept(store, roots, need) for cid in one.cids}
