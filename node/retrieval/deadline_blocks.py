"""Blocks for one request, which waits for them only so long, and then says what it waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Protocol, TypeVar

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.errors import BlockNotFound
from blockstore.fetch_report import FetchReport, told
from blockstore.store import Blockstore
from node.retrieval.deadline import Deadline
from node.retrieval.negative_cache import NegativeCache, RecentlyMissing

T = TypeVar("T")


class Source(BlockSource, Protocol):
    """Blocks of one DAG, and how the fetching of one stands."""

    def inquiries(self, cid: CID) -> tuple[FetchReport, ...]:
        """See `Exchange.inquiries`."""
        ...


class Phase(Enum):
    """What a request needs a block for."""

    PATH = "to follow the path"
    CONTENT = "for the content"


class RetrievalTimeout(TimeoutError):
    """A block did not come in time. The text has who was asked, in counts: strangers read it."""

    def __init__(
        self, seconds: float, phase: Phase, cid: CID | None = None, inquiries: tuple[FetchReport, ...] = ()
    ) -> None:
        block = f" for block {cid}, needed {phase.value}; {told(inquiries)}" if cid else f" {phase.value}"
        super().__init__(
            f"Unable to retrieve content within timeout period: no answer in {seconds:g} s{block}"
        )
        self.cid = cid
        self.phase = phase
        self.inquiries = inquiries


class DeadlineBlocks:
    """A BlockSource within a deadline. What could not be had is remembered in `misses`, for the next ones."""

    def __init__(self, source: Source, store: Blockstore, misses: NegativeCache, deadline: Deadline) -> None:
        self._source = source
        self._store = store
        self._misses = misses
        self.deadline = deadline
        self.phase = Phase.PATH

    async def get(self, cid: CID) -> Block:
        """Raises BlockNotFound, RetrievalTimeout."""
        return await self._wait([cid], partial(self._source.get, cid))

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        """Raises BlockNotFound, RetrievalTimeout."""
        return await self._wait(cids, partial(self._source.get_many, cids))

    async def _wait(self, cids: Sequence[CID], get: Callable[[], Awaitable[T]]) -> T:
        if known := self._misses.among(cids):
            await self._check(known)
        watch = _Watch(self._source, self.deadline, cids)
        try:
            async with watch:
                return await get()
        except BlockNotFound as error:
            if isinstance(error.cid, CID) and error.inquiries:
                again = partial(type(error), error.cid, error.reason, error.inquiries)
                self._misses.add(error.cid, again)
            raise
        except TimeoutError:
            if not watch.is_over:
                raise
            raise await self._overdue(watch) from None

    async def _check(self, known: Mapping[CID, RecentlyMissing]) -> None:
        """Raises RecentlyMissing, unless these blocks have come here since."""
        if missing := await self._store.missing(list(known)):
            raise known[missing[0]]

    async def _overdue(self, watch: _Watch) -> RetrievalTimeout:
        """A block that had most of the time proves something; what was asked for last does not."""
        seconds = self.deadline.seconds
        missing = await self._store.missing(list(watch.standing))
        late = [partial(RetrievalTimeout, seconds, self.phase, cid, watch.standing[cid]) for cid in missing]
        for cid, error in zip(missing, late, strict=True):
            if watch.waited() >= seconds / 2:
                self._misses.add(cid, error)
        return late[0]() if late else RetrievalTimeout(seconds, self.phase)


class _Watch:
    """One wait. At its end it looks how things stand while the wants are still out, then withdraws them."""

    def __init__(self, source: Source, deadline: Deadline, cids: Sequence[CID]) -> None:
        self._source = source
        self._deadline = deadline
        self._cids = cids
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._limit = asyncio.timeout(None)
        self._timer = self._set()
        self.standing: dict[CID, tuple[FetchReport, ...]] = {}

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    @property
    def is_over(self) -> bool:
        return self._limit.expired()

    def waited(self) -> float:
        """Seconds."""
        return self._loop.time() - self._began

    def _set(self) -> asyncio.TimerHandle:
        return self._loop.call_at(self._deadline.of(self._began), self._ring)

    def _ring(self) -> None:
        if self._deadline.of(self._began) > self._loop.time():  # the answer has begun meanwhile
            self._timer = self._set()
            return
        self._limit.reschedule(self._loop.time())  # which cancels in the next turn of the loop
        self.standing.update((cid, self._source.inquiries(cid)) for cid in self._cids)
