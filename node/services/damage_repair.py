"""What damaged blocks mean for pins: those that lack one are no longer held, and it is fetched again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.errors import BlockNotFound, BlockstoreError
from blockstore.ipld.dag_walk import walk
from blockstore.pinning.local_pinner import LocalPinner, PinnedRoot
from blockstore.upkeep import LocalStore
from cluster.common.loops import steadily
from cluster.errors import ClusterError, QueueFull

SPACING = 10.0
"""Seconds between two looks at all pins, however much damage is found meanwhile."""

LOGGED = 20
"""Pins of one look that are logged one by one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DamageRepair:
    """`here` reads the store and fetches nothing. `recover` has a pin that is not held tried again now.

    `recover` raises QueueFull.
    """

    store: LocalStore
    here: Blocks
    pins: LocalPinner
    recover: Callable[[CID], Awaitable[object]]
    guard: Guard
    spacing: float = SPACING

    async def run(self) -> None:
        """Look through all pins whenever blocks were found damaged; until cancelled."""
        await steadily(self.guard, "looking through", "pins for damaged blocks", self._turn)

    async def _turn(self) -> None:
        await self.store.until_damaged()
        try:
            await self._look()
        except (BlockstoreError, OSError) as error:
            _log.error("pins could not be looked through for damaged blocks: %s", error)
        await asyncio.sleep(self.spacing)

    async def _look(self) -> None:
        """A pin that this fails for keeps no other from being mended."""
        count = 0
        await self.pins.lost()
        async for root in self.pins.pinned():
            if not root.complete:
                continue
            with self.guard.around("mending", str(root.cid), ClusterError, OSError):
                count += await self._mended(root, logged=count < LOGGED)
        if count > LOGGED:
            _log.error("%d pins lack blocks: they are fetched again", count)

    async def _mended(self, root: PinnedRoot, *, logged: bool) -> bool:
        """Whether it lacks a block; then that is fetched again."""
        if (lost := await self._lost(root)) is None:
            return False
        await self.pins.doubt(root.cid)
        if logged:
            _log.error("pin %s lacks block %s, which is damaged: it is fetched again", root.cid, lost)
        await self._fetch_again(root.cid)
        return True

    async def _lost(self, root: PinnedRoot) -> object | None:
        """The first block of that root that is not here. Reads what links to others, and fetches nothing."""
        try:
            async with aclosing(walk(self.here, root.cid, recursive=root.recursive)) as visits:
                async for _ in visits:
                    pass
        except BlockNotFound as error:
            return error.cid
        except BlockstoreError as error:
            _log.warning("pin %s could not be looked through: %s", root.cid, error)
        return None

    async def _fetch_again(self, cid: CID) -> None:
        with suppress(QueueFull):  # then the tracker finds it when it next compares pinset and local pins
            await self.recover(cid)
