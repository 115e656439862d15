"""Blocks of the local store for all requests: what many want at about the same time is read once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from cachetools import LRUCache

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.tasks import Tasks, open_tasks

Read = Callable[[Sequence[CID]], Awaitable[list[Block | None]]]
"""One answer a CID, in order; None where the block is not here."""


class Store(Protocol):
    """The local store, as it is read from here."""

    @property
    def deletions(self) -> int:
        """How often blocks were deleted."""
        ...

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]: ...


MAX_BYTES = 32 * 1024 * 1024
SMALL = 64 * 1024

_HITS_A_TURN = 8
_LATELY = 256  # blocks whose readers are counted
_Found = dict[bytes, bytes | None]


@asynccontextmanager
async def open_shared_reads(store: Store, max_bytes: int = MAX_BYTES) -> AsyncIterator[ReadCache]:
    """For the length of the block; reads that run at its end are given up."""
    async with open_tasks() as tasks:
        yield ReadCache(store, tasks, max_bytes)


class ReadCache:
    """Keeps `max_bytes` in memory, least recently used out first: small blocks, and others wanted twice.

    One reader of a large file leaves nothing behind; sixteen of them read it once. Everything is forgotten
    when blocks were deleted.
    """

    def __init__(self, store: Store, tasks: Tasks, max_bytes: int) -> None:
        self._store = store
        self._tasks = tasks
        self._deletions = store.deletions
        self._kept: LRUCache[bytes, bytes] = LRUCache(max_bytes, getsizeof=len)
        self._hits = 0
        self._wanted: LRUCache[bytes, int] = LRUCache(_LATELY)
        self._running: dict[bytes, asyncio.Future[_Found]] = {}

    def __repr__(self) -> str:
        kept = f"{len(self._kept)} blocks, {self._kept.currsize:.0f} bytes"
        return f"<ReadCache {kept}, {len(self._running)} coming>"

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        """As `Blockstore.get_many`."""
        if self._store.deletions != self._deletions:
            self._forget()
        names = [cid.multihash for cid in cids]
        found: _Found = {name: self._kept[name] for name in names if name in self._kept}
        missing = {cid.multihash: cid for cid in cids if cid.multihash not in found}
        for reading in self._readings(missing):
            found.update(await asyncio.shield(reading))
        if not missing:
            await self._give_way()
        return [_block(cid, found[name]) for cid, name in zip(cids, names, strict=True)]

    async def _give_way(self) -> None:
        """A long walk through a few blocks that are all in memory must not keep the loop to itself."""
        self._hits += 1
        if self._hits % _HITS_A_TURN == 0:
            await asyncio.sleep(0)

    def _readings(self, missing: dict[bytes, CID]) -> list[asyncio.Future[_Found]]:
        """What is to be waited for: reads of others, and one of the rest."""
        self._count(missing)
        new = [cid for name, cid in missing.items() if name not in self._running]
        if new:
            reading: asyncio.Future[_Found] = asyncio.get_running_loop().create_future()
            self._running.update((cid.multihash, reading) for cid in new)
            self._tasks.spawn(self._read(new, reading))
        return list(dict.fromkeys(self._running[name] for name in missing))

    async def _read(self, cids: list[CID], reading: asyncio.Future[_Found]) -> None:
        deletions = self._deletions
        try:
            blocks = await self._store.get_many(cids)
            found = {
                cid.multihash: block.data if block else None for cid, block in zip(cids, blocks, strict=True)
            }
            reading.set_result(found)
            if self._store.deletions == deletions:
                self._keep(found)
        except Exception as error:  # noqa: BLE001  the callers that wait raise it
            reading.set_exception(error)
            reading.exception()  # retrieved, for the case that no caller waits any more
        finally:
            reading.cancel()  # where this was cancelled; otherwise it has its result
            for cid in cids:
                del self._running[cid.multihash]

    def _count(self, names: Iterable[bytes]) -> None:
        for name in names:
            self._wanted[name] = self._wanted.get(name, 0) + 1

    def _keep(self, found: _Found) -> None:
        for name, data in found.items():
            if data is None or name in self._kept:
                continue
            if len(data) <= SMALL or self._wanted.get(name, 0) > 1:
                self._kept[name] = data

    def _forget(self) -> None:
        self._deletions = self._store.deletions
        self._kept.clear()


def _block(cid: CID, data: bytes | None) -> Block | None:
    return None if data is None else Block(cid, data)
