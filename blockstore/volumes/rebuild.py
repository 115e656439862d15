"""The index made again: from the volumes, and from what can still be read of the file that was the index."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.sqlite.salvage import sound_rows_of
from blockstore.sqlite.spare import spare_path
from blockstore.store import NO_LIMIT
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from blockstore.volumes.store import VolumeBlockstore

_GROUP_BYTES, _GROUP_BLOCKS = 4 * 1024 * 1024, 1024
_SUFFIXES = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class RebuiltIndex:
    """`blocks` of `bytes` are in the new index; the old one was set aside at `old`, where there was one."""

    blocks: int
    bytes: int
    old: Path | None


async def rebuild_index(
    path: Path, options: VolumeOptions, on_read: Callable[[int], None] = lambda _: None
) -> RebuiltIndex:
    """Make the index at that path again; the store must not be open. Everything is read and hashed.

    `on_read` hears of bytes that were gone through. When it is interrupted, the old index is still in place.
    Raises StorageFull, StoreUnavailable.
    """
    new = path.with_name(f"{path.stem}.new{path.suffix}")
    await asyncio.to_thread(_remove, new)
    adopting = replace(options, adopted_bytes=NO_LIMIT, on_read=on_read)
    async with open_volume_blockstore(new, options=adopting) as store:
        for old in (path, spare_path(path)):
            await _salvage(old, store)
        await store.flush()
        usage = await store.usage()
    return RebuiltIndex(usage.blocks, usage.bytes, await asyncio.to_thread(_swap, path, new))


async def _salvage(old: Path, store: VolumeBlockstore) -> None:
    groups = _groups(sound_rows_of(old))
    while group := await asyncio.to_thread(next, groups, None):
        missing = set(await store.missing([block.cid for block in group]))
        await store.put_many([block for block in group if block.cid in missing])


def _groups(rows: Iterable[tuple[bytes, bytes]]) -> Generator[list[Block]]:
    group: list[Block] = []
    size = 0
    for name, body in rows:
        group.append(Block(CID.v1(RAW, name), body))
        size += len(body)
        if size >= _GROUP_BYTES or len(group) >= _GROUP_BLOCKS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _swap(path: Path, new: Path) -> Path | None:
    """The old index keeps its data under another name; one rename puts the new one in its place."""
    old = path.with_name(f"{path.stem}.old-{int(time.time())}{path.suffix}")
    existed = path.exists()
    for file in (path, spare_path(path)):
        for suffix in ("", "-wal"):
            if (source := Path(f"{file}{suffix}")).exists():
                os.link(source, f"{old if file == path else spare_path(old)}{suffix}")
    for leftover in [f"{path}-wal", f"{path}-shm", *(f"{spare_path(path)}{suffix}" for suffix in _SUFFIXES)]:
        Path(leftover).unlink(missing_ok=True)
    new.replace(path)
    return old if existed else None


def _remove(path: Path) -> None:
    """With what belongs to it."""
    for name in (path, spare_path(path)):
        for suffix in _SUFFIXES:
            Path(f"{name}{suffix}").unlink(missing_ok=True)
