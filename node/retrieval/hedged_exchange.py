"""Hedged requests: routes to a block are asked one after the other with a head start, then all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from blockstore.block import Block
from blockstore.blocks import Exchange
from blockstore.cid import CID
from blockstore.common.way_count import WayCount
from blockstore.errors import BlockNotFound, BlockstoreError
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchReport

_GLANCE = 0.1  # seconds between looks whether all sources have said no before the head start is over
_LOOK = 0.2  # seconds between looks whether the routes that are left have any source to wait for
_SENDING = 2.0  # seconds after its last block that a route counts as one that sends
_MAX_TURN = 10.0  # seconds
_PROBE = 2.0  # seconds between blocks that are asked for on all routes at once


@dataclass(frozen=True, slots=True)
class Route:
    """One exchange, named for error texts; the next route is asked too after `head_start` seconds.

    `came` counts the blocks that it was the first to give, over all its sessions.
    """

    name: str
    exchange: Exchange
    head_start: float = 0.3
    came: WayCount = field(default_factory=WayCount)

    def named(self, reports: Sequence[FetchReport]) -> tuple[FetchReport, ...]:
        return tuple(replace(report, route=report.route or self.name) for report in reports)


class HedgedExchange:
    """Satisfies Exchange: the first route that has the block wins, the others' wants are withdrawn.

    A route that fails early, or has no source within reach, passes its turn on at once; when one has failed
    and no source is left to answer on the others, the fetch fails. Per DAG (`session`) the route that
    answered last goes first, and keeps its turn while it sends, however many blocks are in flight: a whole
    DAG from one good source costs one want a block. Now and then the others are asked too, without delay: a
    better route that has the DAG by now wins it back.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._given = tuple(routes)
        self._routes = list(routes)
        self._probed_at = float("-inf")
        self._sent_at: dict[Route, float] = {}
        self._loop = asyncio.get_running_loop()

    def session(self, root: CID) -> HedgedExchange:
        return HedgedExchange(
            [replace(route, exchange=route.exchange.session(root)) for route in self._given]
        )

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """Raises BlockNotFound with what every route said."""
        hedge = _Hedge()
        if progress is not None:
            progress.follow(hedge.reports)
        try:
            pauses = self._pauses()
            for route, pause in zip(tuple(self._routes), pauses, strict=True):
                request = hedge.ask(route, cid, hints)
                if block := await self._before_others(hedge, request, pause):
                    return block
            while hedge.requests and not hedge.is_hopeless:
                if block := await self._first(hedge, _LOOK):
                    return block
            failures = hedge.reports()
        finally:
            await hedge.withdraw()
        raise BlockNotFound.after(cid, *failures)

    def _pauses(self) -> list[float]:
        """For each route, the seconds until the next one is asked too."""
        now = self._loop.time()
        if self._routes[:1] != list(self._given[:1]) and now - self._probed_at >= _PROBE:
            self._probed_at = now
            return [0.0] * len(self._routes)
        return [route.head_start for route in self._routes]

    async def _before_others(self, hedge: _Hedge, request: asyncio.Task[Block], pause: float) -> Block | None:
        """A block before it is the next route's turn.

        A route that is sending other blocks keeps its turn; one where all sources have said no gives it up,
        and one without any within reach at the first look, when it has just begun.
        """
        attempt, began = hedge.requests[request], self._loop.time()
        wait = pause if self._sends(attempt.route) else 0.0
        while True:
            if block := await self._first(hedge, wait):
                return block
            passed = self._loop.time() - began
            if not pause or request not in hedge.requests or attempt.progress.idle:
                return None
            wait = min(pause, _GLANCE)
            if passed >= pause:
                wait = pause
                if passed >= _MAX_TURN or not self._sends(attempt.route):
                    return None

    def _sends(self, route: Route) -> bool:
        return self._loop.time() - self._sent_at.get(route, float("-inf")) < _SENDING

    async def _first(self, hedge: _Hedge, timeout: float) -> Block | None:
        """A block within the time, or None when the time is over or one more route has failed."""
        done, _ = await asyncio.wait(hedge.requests, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        found: Block | None = None
        for request in done:
            attempt = hedge.requests.pop(request)
            route, error = attempt.route, request.exception()
            if error is None:
                found = request.result()
                route.came.add(1, len(found.data))
                self._note_sent(attempt, hedge)
            elif isinstance(error, BlockstoreError):
                hedge.failures += route.named(_reports_in(error))
            else:
                raise error
        return found

    def _note_sent(self, winner: _Attempt, hedge: _Hedge) -> None:
        """It goes first from now on, unless it won by its head start alone."""
        route = winner.route
        self._sent_at[route] = self._loop.time()
        if self._routes[0] is not route and not hedge.asked_since(winner.at + _GLANCE):
            self._routes.remove(route)
            self._routes.insert(0, route)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One route that is being asked for one block, since `at`."""

    route: Route
    progress: FetchProgress
    at: float


@dataclass(slots=True, eq=False)
class _Hedge:
    """The requests for one block: those that run, and what the routes said that do not have it."""

    requests: dict[asyncio.Task[Block], _Attempt] = field(default_factory=dict)
    failures: list[FetchReport] = field(default_factory=list)

    def ask(self, route: Route, cid: CID, hints: Sequence[str]) -> asyncio.Task[Block]:
        attempt = _Attempt(route, FetchProgress(), asyncio.get_running_loop().time())
        request = asyncio.ensure_future(route.exchange.fetch(cid, hints, attempt.progress))
        self.requests[request] = attempt
        return request

    def asked_since(self, time: float) -> bool:
        """Whether one that is still awaited was asked later than that."""
        return any(attempt.at > time for attempt in self.requests.values())

    def reports(self) -> tuple[FetchReport, ...]:
        awaited = [
            report
            for attempt in self.requests.values()
            for report in attempt.route.named(attempt.progress.reports())
        ]
        return (*self.failures, *awaited)

    @property
    def is_hopeless(self) -> bool:
        """Whether one route is over, and the others have only new sources to wait for."""
        return bool(self.failures) and all(attempt.progress.settled for attempt in self.requests.values())

    async def withdraw(self) -> None:
        for request in self.requests:
            request.cancel()
        await asyncio.gather(*self.requests, return_exceptions=True)


def _reports_in(error: BlockstoreError) -> tuple[FetchReport, ...]:
    if isinstance(error, BlockNotFound):
        return error.reports or (FetchReport(note=error.reason),)
    return (FetchReport(note=str(error)),)
