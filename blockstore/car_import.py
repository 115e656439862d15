"""CARs imported into a store: all of their blocks, or none."""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, ParamSpec, TypeVar

from blockstore.ahead import one_ahead
from blockstore.block import Block
from blockstore.car_reader import read_car
from blockstore.cid import CID
from blockstore.errors import StorageFull
from blockstore.service import Blocks
from blockstore.store import Blockstore

P = ParamSpec("P")
T = TypeVar("T")

_IN_MEMORY = 8 * 1024 * 1024
_BATCH, _BATCH_BLOCKS = 4 * 1024 * 1024, 1024
_STAGED = struct.Struct("<HI")  # bytes of the CID, bytes of the data


@dataclass(frozen=True, slots=True)
class CarSummary:
    """What an import stored: blocks and their bytes, repeats and blocks that were here already included.

    `unknown` counts blocks that were left out: their hash function is none that this program can compute.
    """

    roots: tuple[CID, ...]
    blocks: int
    bytes: int
    unknown: int = 0


async def import_car(blocks: Blocks, chunks: AsyncIterator[bytes], staging: Path | None = None) -> CarSummary:
    """Store all blocks of a CAR, or none: nothing is put before the last byte has been read and verified.

    Whoever waits for one of them, here or elsewhere, gets it then.

    Meanwhile the blocks lie in a nameless file in `staging` (None: the system's folder for temporary files),
    small CARs in memory. Blocks already put when the disk fills up, or when the caller cancels, are whole and
    unpinned: the next collection takes them. Blocks that cannot be verified are left out. Raises BadCar,
    HashMismatch, StorageFull.
    """
    car = await read_car(chunks)
    count = size = new = unknown = 0
    with SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(staging) if staging else None) as stage:
        async with aclosing(one_ahead(car.batches)) as batches:
            async for found in batches:
                batch = found.blocks
                unknown += len(found.unknown)
                missing = set(await blocks.store.missing([block.cid for block in batch]))
                count += len(batch)
                size += sum(len(block.data) for block in batch)
                new += sum(len(block.data) for block in batch if block.cid in missing)
                await _in_thread(_stage, stage, batch)
        await _check_room(blocks.store, new)
        await _in_thread(_rewind, stage)
        while batch := await _in_thread(_unstage, stage):
            await blocks.put_many(batch)
    return CarSummary(car.roots, count, size, unknown)


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a thread; a cancelled caller waits for it, because it is using the file."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    finally:
        await asyncio.wait([running])


async def _check_room(store: Blockstore, new: int) -> None:
    """Refuse before the first block is put, not in the middle."""
    usage = await store.usage()
    if usage.quota and usage.bytes + new > usage.quota:
        raise StorageFull(
            f"the CAR brings {new} bytes; the storage quota leaves {max(usage.quota - usage.bytes, 0)}"
        )


def _stage(stage: IO[bytes], blocks: Sequence[Block]) -> None:
    with _disk_trouble():
        for block in blocks:
            name = bytes(block.cid)
            stage.write(_STAGED.pack(len(name), len(block.data)) + name)
            stage.write(block.data)


def _rewind(stage: IO[bytes]) -> None:
    with _disk_trouble():
        stage.seek(0)  # writes what is still buffered


def _unstage(stage: IO[bytes]) -> list[Block]:
    """The next blocks, verified again: what comes from a disk is not what was put there until it is shown."""
    blocks: list[Block] = []
    size = 0
    while size < _BATCH and len(blocks) < _BATCH_BLOCKS and (head := stage.read(_STAGED.size)):
        name_size, data_size = _STAGED.unpack(head)
        cid = CID.decode(stage.read(name_size))
        blocks.append(Block.verify(cid, stage.read(data_size), "the staging file"))
        size += data_size
    return blocks


@contextmanager
def _disk_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFull(f"no room to stage the CAR ({error}): free space, then try again") from error
