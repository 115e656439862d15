"""Garbage collection of this node's store (mark and sweep), on demand."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from blockstore.pinning import gc
from blockstore.pinning.gc import Marked
from blockstore.pinning.local_pinner import LocalPinner
from blockstore.store import NO_LIMIT
from blockstore.upkeep import CollectedStore, Swept
from cluster.calls.holders import Holders
from cluster.common.sorted_merge import closed_after
from cluster.interfaces import PinsetReader
from cluster.pin import Pin, PinMode
from node.jobs.job import JobKind
from node.jobs.jobs import Jobs

_PAGE = 256  # pins whose roots are looked up together
_ASKED_AT_ONCE = 16  # pins whose holders are asked at the same time

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeldBackPin:
    """A pin that other members are to hold and whose blocks stay here, and why."""

    pin: Pin
    reason: str


@dataclass(slots=True)
class CollectionTotals:
    """Since the start: collections that were begun, and what they removed. `ended`: seconds since 1970."""

    begun: int = 0
    blocks: int = 0
    bytes: int = 0
    ended: float = 0.0

    def took(self, step: Marked | Swept) -> None:
        if isinstance(step, Swept):
            self.blocks += len(step.cids)
            self.bytes += step.bytes


@dataclass(frozen=True, slots=True)
class GarbageCollection:
    """What is kept: local pins, complete or not, and what the cluster pins until its holders have it.

    A member that added something for others has the only copy until they say that they hold it, be that in a
    second or never. So they are asked at each collection, and what they do not answer for stays.
    `removals_done` returns when what was removed from the pinset before is no local pin any more.
    """

    store: CollectedStore
    pins: LocalPinner
    pinset: PinsetReader
    holders: Holders
    removals_done: Callable[[], Awaitable[None]]
    peer: str
    jobs: Jobs
    totals: CollectionTotals = field(default_factory=CollectionTotals)

    async def run(
        self, on_held_back: Callable[[HeldBackPin], None] | None = None, need: int = NO_LIMIT
    ) -> AsyncGenerator[Marked | Swept]:
        """Remove all else, then give the space back to the disk; or `need` bytes, those read lately last.

        `on_held_back` hears of each pin whose blocks stay for others, before the first block is removed.
        Raises CollectorBusy, LinksUnknown, JobCancelled.
        """
        self.totals.begun += 1
        with self.jobs.running(JobKind.GC, "this node", "blocks") as job:
            await self.removals_done()
            await self.pins.renew()
            roots = self._roots(on_held_back or _log_held_back)
            async with aclosing(gc.collect(self.store, roots, need)) as steps:
                async for step in steps:
                    self.totals.took(step)
                    yield step
                    await job.turn(len(step.cids) if isinstance(step, Swept) else 0)
            await gc.give_back(self.store)
        self.totals.ended = time.time()

    def freeing(self, need: int) -> AsyncGenerator[Marked | Swept]:
        """`run` until so many bytes are gone."""
        return self.run(need=need)

    async def _roots(self, on_held_back: Callable[[HeldBackPin], None]) -> AsyncIterator[gc.Root]:
        async for local in self.pins.pinned():
            yield gc.Root(local.cid, local.recursive, whole=local.complete or local.blocks > 0)
        async with closed_after(self._wished()) as pages:
            async for page in pages:
                for pin in page:
                    if pin.held_by(self.peer):
                        yield _root(pin)  # its walk may not have begun
                for held in await self._held_back([pin for pin in page if not pin.held_by(self.peer)]):
                    on_held_back(held)
                    yield _root(held.pin)

    async def _wished(self) -> AsyncIterator[list[Pin]]:
        page: list[Pin] = []
        async with closed_after(self.pinset.pins()) as pins:
            async for pin in pins:
                page.append(pin)
                if len(page) == _PAGE:
                    yield page
                    page = []
        yield page

    async def _held_back(self, pins: Sequence[Pin]) -> list[HeldBackPin]:
        """Those whose roots are here while a member that is to hold them does not say that it does."""
        here = await self.store.located([pin.cid for pin in pins])
        asked = [pin for pin in pins if pin.cid.is_identity or pin.cid.multihash in here]
        held: list[HeldBackPin] = []
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            together = asked[start : start + _ASKED_AT_ONCE]
            reasons = await asyncio.gather(*(self.holders.lacking(pin) for pin in together))
            held += [HeldBackPin(pin, why) for pin, why in zip(together, reasons, strict=True) if why]
        return held


def _root(pin: Pin) -> gc.Root:
    return gc.Root(pin.cid, pin.options.mode is PinMode.RECURSIVE)


def _log_held_back(held: HeldBackPin) -> None:
    _log.info("the blocks of %s stay: %s", held.pin.cid, held.reason)
