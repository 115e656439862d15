"""Blocks for one request, which waits for them until a deadline, and then says what it waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import TypeVar

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchesInFlight
from blockstore.fetch_report import FetchReport, summary
from blockstore.read_budget import ReadBudget
from blockstore.store import Blockstore
from node.retrieval.deadline import Alarm, Deadline
from node.retrieval.negative_cache import NegativeCache, RecentlyMissing

T = TypeVar("T")


class Phase(Enum):
    """What a request needs a block for."""

    PATH = "to follow the path"
    CONTENT = "for the content"


class RetrievalTimeout(TimeoutError):
    """A block did not come in time. The text has who was asked, in counts: clients read it."""

    def __init__(
        self, seconds: float, phase: Phase, cid: CID | None = None, reports: tuple[FetchReport, ...] = ()
    ) -> None:
        tried = summary(reports) if reports else "it was not asked for yet"
        block = f" for block {cid}, needed {phase.value}; {tried}" if cid else f" {phase.value}"
        super().__init__(
            f"Unable to retrieve content within timeout period: no answer in {seconds:g} s{block}"
        )
        self.cid = cid
        self.phase = phase
        self.reports = reports


class DeadlineBlocks:
    """A BlockSource within a deadline. What could not be had is remembered in `misses`, for the next ones."""

    def __init__(
        self,
        source: BlockSource,
        in_flight: FetchesInFlight,
        store: Blockstore,
        misses: NegativeCache,
        deadline: Deadline,
        phase: Phase = Phase.PATH,
    ) -> None:
        """`in_flight`: the fetches of `source`."""
        self._source = source
        self._in_flight = in_flight
        self._store = store
        self._misses = misses
        self._phase = phase
        self._loop = asyncio.get_running_loop()
        self.deadline = deadline

    def needed(self, phase: Phase) -> DeadlineBlocks:
        """The same blocks within the same deadline, for another purpose."""
        return DeadlineBlocks(self._source, self._in_flight, self._store, self._misses, self.deadline, phase)

    @property
    def read_budget(self) -> ReadBudget:
        return self._source.read_budget

    async def get(self, cid: CID) -> Block:
        """Raises BlockNotFound, RetrievalTimeout."""
        return await self._wait([cid], partial(self._source.get, cid))

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        """Raises BlockNotFound, RetrievalTimeout."""
        return await self._wait(cids, partial(self._source.get_many, cids))

    async def _wait(self, cids: Sequence[CID], get: Callable[[], Awaitable[T]]) -> T:
        if known := self._misses.among(cids):
            await self._check(known)
        overdue: dict[CID, tuple[FetchReport, ...]] = {}
        limit = asyncio.timeout(None)

        def end() -> None:
            overdue.update((cid, self._in_flight.reports(cid)) for cid in cids)
            limit.reschedule(self._loop.time())  # which withdraws the wants in the next turn of the loop

        alarm = Alarm(self.deadline, end)
        try:
            async with limit:
                with alarm:
                    return await get()
        except BlockNotFound as error:
            self._remember(error)
            raise
        except TimeoutError:
            if not limit.expired():
                raise
        raise await self._timeout(alarm.waited(), overdue)

    def _remember(self, error: BlockNotFound) -> None:
        if isinstance(error.cid, CID) and error.reports:
            self._misses.add(error.cid, partial(type(error), error.cid, error.reason, error.reports))

    async def _check(self, known: Mapping[CID, RecentlyMissing]) -> None:
        """Raises RecentlyMissing, unless these blocks have come here since."""
        if missing := await self._store.missing(list(known)):
            raise known[missing[0]]

    async def _timeout(
        self, waited: float, overdue: Mapping[CID, tuple[FetchReport, ...]]
    ) -> RetrievalTimeout:
        """Only blocks awaited for half of the deadline or more are remembered as missing."""
        seconds = self.deadline.seconds
        missing = await self._store.missing(list(overdue))
        late = [partial(RetrievalTimeout, seconds, self._phase, cid, overdue[cid]) for cid in missing]
        if waited >= seconds / 2:
            for cid, error in zip(missing, late, strict=True):
                self._misses.add(cid, error)
        return late[0]() if late else RetrievalTimeout(seconds, self._phase)
