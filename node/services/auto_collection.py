"""Garbage collected by itself: between two watermarks of the room that blocks may take.

When blocks have passed the high watermark, garbage goes until the low one is reached; what was read lately
goes last. Pinned blocks never go, so a store that is full of pins stays full: then nothing is tried until it
has grown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from blockstore.common.guard import Guard
from blockstore.errors import BlockstoreError, CollectorBusy
from blockstore.pinning.gc import Marked, give_back
from blockstore.store import Usage
from blockstore.upkeep import CollectedStore, Swept
from cluster.common.loops import steadily

_LOOK_SECONDS = 15.0
_AGAIN_SECONDS = 3600.0  # after a collection that freed less than was needed
_GROWN = 1.01  # times as much as then, from which on it is tried sooner
_SPARE_BYTES = 128 * 1024 * 1024  # that files may take beside blocks, and a tenth of these
_SPARE_SHARE = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Shares of the room for blocks, 0 to 1. A high one of 1 is never reached."""

    high: float
    low: float

    def need(self, usage: Usage) -> int:
        """Bytes that are to go now; 0 while there is enough room."""
        whole = usage.quota or usage.bytes + usage.free
        if self.high >= 1 or usage.free >= whole * (1 - self.high):
            return 0
        return max(0, int(whole * (1 - self.low)) - usage.free)


class AutoCollection:
    """`collect` runs one collection of so many bytes."""

    def __init__(
        self,
        store: CollectedStore,
        collect: Callable[[int], AsyncGenerator[Marked | Swept]],
        watermarks: Watermarks,
        guard: Guard,
    ) -> None:
        self._store = store
        self._collect = collect
        self._watermarks = watermarks
        self._guard = guard
        self._rest_until = 0.0
        self._rest_bytes = 0
        self._held_after = 0

    async def run(self) -> None:
        """Until cancelled."""
        await steadily(self._guard, "collecting", "garbage", self._turn)

    async def _turn(self) -> None:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await self.look()
        except CollectorBusy:
            return  # it is being done
        except (BlockstoreError, OSError) as error:
            self._rest(0)
            _log.warning("garbage was not collected: %s", error)

    async def look(self) -> None:
        """Collect where that is needed, and give back what was freed. Raises BlockstoreError, OSError."""
        usage = await self._store.usage()
        if (need := self._watermarks.need(usage)) and not self._rests(usage):
            await self._take(need)
            usage = await self._store.usage()
        await self._give_back(usage)

    async def _take(self, need: int) -> None:
        blocks = size = 0
        async with aclosing(self._collect(need)) as steps:
            async for step in steps:
                if isinstance(step, Swept):
                    blocks, size = blocks + len(step.cids), size + step.bytes
        _log.info("little room is left: %d blocks that no pin needs were removed, %d bytes", blocks, size)
        if size < need:
            self._rest((await self._store.usage()).bytes)

    def _rest(self, size: int) -> None:
        self._rest_until, self._rest_bytes = time.monotonic() + _AGAIN_SECONDS, size

    def _rests(self, usage: Usage) -> bool:
        return time.monotonic() < self._rest_until and usage.bytes < self._rest_bytes * _GROWN

    async def _give_back(self, usage: Usage) -> None:
        """What cached blocks left that made way: no collection comes by for them."""
        spare = usage.held - usage.bytes
        if spare > _SPARE_BYTES + usage.bytes * _SPARE_SHARE and usage.held > self._held_after:
            await give_back(self._store)
            self._held_after = int((await self._store.usage()).held * _GROWN)
