"""A keyed lock: what reads a pin and writes what follows from it runs one after the other for each CID."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from blockstore.cid import CID


class KeyedLock:
    """Between this member's own writers: among members the pinset itself decides."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[CID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, cid: CID) -> AsyncIterator[None]:
        """Wait until no other caller of this node decides about that pin."""
        lock = self._locks.setdefault(cid, asyncio.Lock())
        async with lock:
            yield
