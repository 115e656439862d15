"""All that is provided is told again each cycle, region after region of the key space, evenly over its time.

A look-up gives all servers of a region, and so serves all names there: a cycle costs about as many look-ups
as the network has regions, whatever the number of names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from node.providing.announcer import Announcer
from node.providing.content import ProvidedContent
from node.providing.region import SPACE, Region
from node.providing.schedule_store import Cycle, DueName, ScheduleStore

PERIOD = 22 * 3600.0
"""Seconds of a cycle: what is told lives for 48 hours."""

_LATE = 1.1  # periods after which a cycle is hurried: what was told last is about to expire
_ABANDONED = 1.5  # periods after which the rest of a cycle is not worth its while
_PAGE = 500
_RETRY = 30.0  # seconds until servers are looked for again where there are none


class Sweep:
    """For one DHT. `now`: seconds since 1970."""

    def __init__(
        self,
        announcer: Announcer,
        store: ScheduleStore,
        content: ProvidedContent,
        strategy: str,
        now: Callable[[], float],
    ) -> None:
        self._announcer = announcer
        self._store = store
        self._content = content
        self._strategy = strategy
        self._now = now
        self._again = asyncio.Event()  # more is new than could be told by itself

    def begin_again(self) -> None:
        """Gather all names anew, and tell them without pauses."""
        self._again.set()

    async def turn(self) -> None:
        """The next region, when it is due."""
        if not self._announcer.ready:
            await asyncio.sleep(2.0)
            return
        cycle = await self._current()
        due = await self._next(cycle)
        if due is not None and cycle.cursor is not None:
            if await self._is_time(due_at(cycle, due.key)):
                await self._sweep(due)
        elif cycle.cursor is not None:
            await self._store.advance(None)
        elif await self._is_time(cycle.began + PERIOD):
            await self._begin(cycle)

    async def _current(self) -> Cycle:
        cycle = await self._store.cycle()
        if cycle is None or not cycle.filled or cycle.strategy != self._strategy or self._again.is_set():
            return await self._begin(None)
        if self._now() > cycle.began + _ABANDONED * PERIOD:
            return await self._begin(cycle)
        return cycle

    async def _begin(self, before: Cycle | None) -> Cycle:
        self._again.clear()
        hurried = before is None or self._now() > before.began + _LATE * PERIOD
        cycle = Cycle(self._strategy, self._now(), hurried)
        await self._store.begin(cycle)
        async for page in self._content.pages():
            await self._store.add(page)
        await self._store.filled()
        return replace(cycle, filled=True)

    async def _next(self, cycle: Cycle) -> DueName | None:
        if cycle.cursor is None:
            return None
        return next(iter(await self._store.names(cycle.cursor, SPACE, 1)), None)

    async def _is_time(self, due: float) -> bool:
        """Wait until then; False where all is to begin again instead."""
        pause = due - self._now()
        try:
            async with asyncio.timeout(max(0.0, pause)):
                await self._again.wait()
        except TimeoutError:
            return True
        return False

    async def _sweep(self, due: DueName) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        region = await self._announcer.explore(due.cid.multihash)
        if not region.servers:
            await asyncio.sleep(_RETRY)
            return
        await self._tell_region(region, due.key)
        figures, seconds = self._announcer.figures, loop.time() - began
        figures.regions += 1
        figures.region_seconds += seconds
        figures.slowest = max(figures.slowest, seconds)

    async def _tell_region(self, region: Region, first: int) -> None:
        """Page by page; a restart goes on behind the last page that was told."""
        low = first
        while names := await self._store.names(low, region.high, _PAGE):
            kept = set(await self._content.kept([name.cid for name in names]))
            await self._announcer.tell(
                region, {name.key: name.cid.multihash for name in names if name.cid in kept}
            )
            low = names[-1].key + 1
            await self._store.advance(low)
        await self._store.advance(region.high)


def due_at(cycle: Cycle, key: int) -> float:
    """When that key is due, in seconds since 1970: at its share of the period."""
    return cycle.began + (0.0 if cycle.hurried else PERIOD * (key / SPACE))
