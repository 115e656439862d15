"""A keyed lock: what reads a pin and writes what follows from it runs one after the other for each CID."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from blockstore.cid import CID


class KeyedLock:
    """Between this member's own writers: among members the pinset itself decides."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[CID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, *cids: CID) -> AsyncIterator[None]:
        """Wait until no other caller of this node decides about those pins."""
        held: list[asyncio.Lock] = []
        try:
            for lock in self._in_order(cids):
                await lock.acquire()
                held.append(lock)
            yield
        finally:
            for lock in held:
                lock.release()

    def _in_order(self, cids: Iterable[CID]) -> list[asyncio.Lock]:
        """Everyone locks in the same order, so no two wait for each other."""
        return [self._locks.setdefault(cid, asyncio.Lock()) for cid in sorted({*cids}, key=bytes)]
