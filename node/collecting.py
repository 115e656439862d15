"""Freeing what nobody wants: the garbage of this node's store, on demand."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from blockstore import gc
from blockstore.pins import LocalPinner
from blockstore.sqlite import SqliteBlockstore, Swept
from cluster.pin import PinMode
from cluster.state import PinsetReader

SPREADING = 3600.0
"""Seconds for which a new pin's blocks stay wherever they are: its holders may be fetching them from here."""


@dataclass(frozen=True, slots=True)
class Collecting:
    """What is kept: local pins, complete or not, and everything that the cluster pinned in the last hour."""

    store: SqliteBlockstore
    pins: LocalPinner
    pinset: PinsetReader
    now: Callable[[], float] = time.time

    async def run(self) -> AsyncGenerator[Swept]:
        """Remove all else, then give the space back to the disk. Raises CollectorBusy, LinksUnknown."""
        async with aclosing(gc.collect(self.store, self._roots())) as pages:
            async for swept in pages:
                yield swept
        await gc.give_back(self.store)

    async def _roots(self) -> AsyncIterator[gc.Root]:
        async for root in self.pins.pinned():
            yield gc.Root(root.cid, root.recursive, whole=root.complete or root.blocks > 0)
        recent = self.now() - SPREADING
        async for pin in self.pinset.pins():
            if pin.created > recent:
                yield gc.Root(pin.cid, pin.options.mode is PinMode.RECURSIVE)
