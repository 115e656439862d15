"""New roots are told at once: a few by a look-up each, many region by region."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from blockstore.cid import CID
from node.providing.announcer import Announcer
from node.routing.kad.keys import kad_key
from node.routing.router import NotProvided

_MOST = 50_000  # that wait; above that all is gathered anew
_TOGETHER = 5_000
_SINGLY = 16


class FreshRoots:
    """What has become complete since the start and was not told yet.

    `ours` leaves out what other members tell. `told` hears of those that were, `overflowed` is called where
    more come than may wait.
    """

    def __init__(
        self,
        announcers: Sequence[Announcer],
        ours: Callable[[Sequence[CID]], Awaitable[Sequence[CID]]],
        told: Callable[[Sequence[CID]], Awaitable[None]],
        overflowed: Callable[[], None],
    ) -> None:
        self._announcers = tuple(announcers)
        self._ours = ours
        self._told = told
        self._overflowed = overflowed
        self._waiting: dict[CID, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def completed(self, cids: Iterable[CID]) -> None:
        """These roots are whole now. Never waits."""
        self._waiting.update(dict.fromkeys(cids))
        if len(self._waiting) > _MOST:
            self._waiting.clear()
            self._overflowed()
        self._news.set()

    async def turn(self) -> None:
        """Tell what waits, once a server is known."""
        await self._news.wait()
        ready = [announcer for announcer in self._announcers if announcer.ready]
        if not ready:
            await asyncio.sleep(0.5)
            return
        batch = list(self._waiting)[:_TOGETHER]
        for cid in batch:
            del self._waiting[cid]
        if not self._waiting:
            self._news.clear()
        ours = await self._ours(batch)
        await asyncio.gather(*(_tell(announcer, ours) for announcer in ready))
        await self._told(ours)


async def _tell(announcer: Announcer, cids: Sequence[CID]) -> None:
    if len(cids) <= _SINGLY:
        await asyncio.gather(*(_tell_one(announcer, cid) for cid in cids))
    else:
        await announcer.tell_all({kad_key(cid.multihash): cid.multihash for cid in cids})


async def _tell_one(announcer: Announcer, cid: CID) -> None:
    """What fails is counted, and told with the next sweep."""
    try:
        await announcer.one(cid.multihash)
    except NotProvided:
        return
