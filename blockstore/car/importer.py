"""CARs imported into a store: all of their blocks, or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from blockstore.blocks import Blocks
from blockstore.car.reader import read_car
from blockstore.cid import CID
from blockstore.common.size_text import size_text
from blockstore.disk.staging import Staging
from blockstore.errors import StorageFull
from blockstore.prefetch.one_ahead import one_ahead
from blockstore.store import Blockstore
from blockstore.upkeep import Reserving, unreserved

P = ParamSpec("P")
T = TypeVar("T")

_TEMPORARY = Staging()


@dataclass(frozen=True, slots=True)
class CarSummary:
    """What an import stored: blocks and their bytes, repeats and blocks that were here already included.

    `unknown` counts blocks that were left out: their hash function is none that this program can compute.
    """

    roots: tuple[CID, ...]
    blocks: int
    bytes: int
    unknown: int = 0


async def import_car(
    blocks: Blocks,
    chunks: AsyncIterator[bytes],
    staging: Staging = _TEMPORARY,
    reserving: Reserving = unreserved,
) -> CarSummary:
    """Store all blocks of a CAR, or none: nothing is put before the last byte has been read and verified.

    Callers here and peers elsewhere that wait for one of them get it then.

    Meanwhile the blocks lie in `staging`; a CAR that does not fit there, or into the store, is refused as
    soon as that is seen. Blocks already put when the disk fills up, or when the caller cancels, are whole and
    unpinned: the next collection takes them. Blocks that cannot be verified are left out. Raises BadCar,
    HashMismatch, StorageFull.
    """
    car = await read_car(chunks)
    count = size = new = unknown = 0
    with staging.open() as stage, reserving() as reservation:
        async with aclosing(one_ahead(car.batches)) as batches:
            async for found in batches:
                batch = found.blocks
                unknown += len(found.unknown)
                missing = set(await blocks.store.missing([block.cid for block in batch]))
                count += len(batch)
                size += sum(len(block.data) for block in batch)
                more = sum(len(block.data) for block in batch if block.cid in missing)
                await _check_room(blocks.store, new, more)
                new += more
                await reservation.need(new)
                await _in_thread(stage.append, batch)
        await _in_thread(stage.rewind)
        while batch := await _in_thread(stage.take):
            await blocks.put_many(batch)
            reservation.took(sum(len(block.data) for block in batch))
    return CarSummary(car.roots, count, size, unknown)


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a thread; a cancelled caller waits for it, because it is using the file."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    finally:
        await asyncio.wait([running])


async def _check_room(store: Blockstore, reserved: int, more: int) -> None:
    """Refuse before the first block is put, not in the middle; `reserved` is for this CAR already.

    Raises StorageFull.
    """
    usage = await store.usage()
    if reserved + more > usage.free + min(reserved, usage.reserved):
        raise StorageFull(
            f"the CAR brings at least {size_text(reserved + more)} that are not here, and there is room for "
            f"{size_text(usage.free)}: unpin something and collect garbage, raise the quota, or free space"
        )
