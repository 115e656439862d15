"""Several ways to a block, asked one after the other with a head start, then all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from blockstore.block import Block
from blockstore.blocks import Exchange
from blockstore.cid import CID
from blockstore.errors import BlockNotFound, BlockstoreError
from blockstore.fetch_report import FetchReport

_GLANCE = 0.1  # seconds between looks whether everybody has said no before the head start is over
_LOOK = 0.2  # seconds between looks whether the ways that are left have anybody to wait for
_SENDING = 2.0  # seconds after its last block that a way counts as one that sends
_LONGEST_TURN = 10.0  # seconds
_PROBE = 2.0  # seconds between blocks that are asked for on all ways at once


@dataclass(frozen=True, slots=True)
class Route:
    """One exchange, named for error texts; the next way is asked too after `head_start` seconds."""

    name: str
    exchange: Exchange
    head_start: float = 0.3

    def inquiries(self, cid: CID) -> tuple[FetchReport, ...]:
        return self.named(self.exchange.inquiries(cid))

    def is_idle(self, cid: CID) -> bool:
        """Whether nobody there is about to answer."""
        return all(inquiry.idle for inquiry in self.exchange.inquiries(cid))

    def named(self, inquiries: Sequence[FetchReport]) -> tuple[FetchReport, ...]:
        return tuple(replace(inquiry, way=inquiry.way or self.name) for inquiry in inquiries)


class HedgedExchange:
    """Satisfies Exchange: the first way that has the block wins, the others' wants are withdrawn.

    A way that fails early, or has nobody within reach, passes its turn on at once; when one has failed and
    nobody is left to answer on the others, the fetch fails. Per DAG (`session`) the way that answered last
    goes first, and keeps its turn while it sends, however many blocks are in flight: a whole DAG from one
    good source costs one want a block. Now and then the others are asked too, without delay: a better way
    that has the DAG by now wins it back.
    """

    def __init__(self, ways: Sequence[Route]) -> None:
        self._given = tuple(ways)
        self._ways = list(ways)
        self._rounds: dict[CID, _Round] = {}
        self._probed_at = float("-inf")
        self._sent_at: dict[Route, float] = {}
        self._loop = asyncio.get_running_loop()

    def session(self, root: CID) -> HedgedExchange:
        return HedgedExchange(
            [Route(way.name, way.exchange.session(root), way.head_start) for way in self._given]
        )

    async def announce(self, cids: Sequence[CID]) -> None:
        for way in self._ways:
            await way.exchange.announce(cids)

    def inquiries(self, cid: CID) -> tuple[FetchReport, ...]:
        """See `Exchange.inquiries`: those of each way, and what the failed ones said."""
        running = self._rounds.get(cid)
        if running is None:
            return tuple(inquiry for way in self._ways for inquiry in way.inquiries(cid))
        return (*running.failures, *running.awaited(cid))

    async def fetch(self, cid: CID, hints: Sequence[str] = ()) -> Block:
        """Raises BlockNotFound with what every way said."""
        running = self._rounds[cid] = _Round()
        try:
            pauses = self._pauses(cid, hints)
            for way, pause in zip(tuple(self._ways), pauses, strict=True):
                running.wants[asyncio.ensure_future(way.exchange.fetch(cid, hints))] = way
                if block := await self._before_others(running, way, cid, pause):
                    return block
            while running.wants and not running.is_hopeless(cid):
                if block := await self._first(running, _LOOK):
                    return block
            running.failures += running.awaited(cid)
        finally:
            if self._rounds.get(cid) is running:
                del self._rounds[cid]
            await running.withdraw()
        raise BlockNotFound.after(cid, *running.failures)

    def _pauses(self, cid: CID, hints: Sequence[str]) -> list[float]:
        """For each way, the seconds until the next one is asked too."""
        now = self._loop.time()
        if self._ways[:1] != list(self._given[:1]) and now - self._probed_at >= _PROBE:
            self._probed_at = now
            return [0.0] * len(self._ways)
        return [way.head_start if hints or _is_hopeful(way, cid) else 0.0 for way in self._ways]

    async def _before_others(self, running: _Round, way: Route, cid: CID, pause: float) -> Block | None:
        """A block before it is the next way's turn.

        A way that is sending other blocks keeps its turn; one where everybody has said no gives it up.
        """
        began, wait = self._loop.time(), min(pause, _GLANCE)
        while True:
            if block := await self._first(running, wait):
                return block
            passed = self._loop.time() - began
            if not pause or way not in running.wants.values() or way.is_idle(cid):
                return None
            if passed >= pause:
                wait = pause
                if passed >= _LONGEST_TURN or not self._sends(way):
                    return None

    def _sends(self, way: Route) -> bool:
        return self._loop.time() - self._sent_at.get(way, float("-inf")) < _SENDING

    async def _first(self, running: _Round, timeout: float | None) -> Block | None:
        """A block within the time, or None when the time is over or one more way has failed."""
        done, _ = await asyncio.wait(running.wants, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        found: Block | None = None
        for want in done:
            way = running.wants.pop(want)
            error = want.exception()
            if error is None:
                found = want.result()
                self._prefer(way)
            elif isinstance(error, BlockstoreError):
                running.failures += way.named(_told(error))
            else:
                raise error
        return found

    def _prefer(self, way: Route) -> None:
        self._sent_at[way] = self._loop.time()
        if self._ways[0] is not way:
            self._ways.remove(way)
            self._ways.insert(0, way)


@dataclass(slots=True, eq=False)
class _Round:
    """One block on its way: who is being asked, and what those said who do not have it."""

    wants: dict[asyncio.Task[Block], Route] = field(default_factory=dict)
    failures: list[FetchReport] = field(default_factory=list)

    def awaited(self, cid: CID) -> list[FetchReport]:
        return [inquiry for way in self.wants.values() for inquiry in way.inquiries(cid)]

    def is_hopeless(self, cid: CID) -> bool:
        """Whether one way is over, and the others have only somebody new to wait for."""
        return bool(self.failures) and all(inquiry.settled for inquiry in self.awaited(cid))

    async def withdraw(self) -> None:
        for want in self.wants:
            want.cancel()
        await asyncio.gather(*self.wants, return_exceptions=True)


def _told(error: BlockstoreError) -> tuple[FetchReport, ...]:
    if isinstance(error, BlockNotFound):
        return error.inquiries or (FetchReport(note=error.reason),)
    return (FetchReport(note=str(error)),)


def _is_hopeful(way: Route, cid: CID) -> bool:
    return any(inquiry.hopeful for inquiry in way.exchange.inquiries(cid))
