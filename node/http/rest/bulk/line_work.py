"""A body of lines worked on in groups: read, done and answered side by side, each waiting for the next.

    connection -> LineQueue -> parse, apply a group -> answers -> connection

A client that reads no answers stops the work, and with it the reading of its body. When a client goes, the
lines that had come whole are still worked on; the one that broke off is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import StreamReader

from cluster.common.cooperative import TimeSlice
from node.http.errors import EXPECTED
from node.http.rest.bulk.json_line import cid_in
from node.http.rest.bulk.line_answers import LineAnswers, LineFailure, LineOutcome
from node.http.rest.bulk.line_queue import LineGroup, LineQueue
from node.http.rest.bulk.line_splitter import LineSplitter

GROUP = 500
"""Lines that become durable together."""

_ANSWERS = 4  # groups whose answers wait for the client to read them

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class LineWork(Generic[Item]):
    """What is done with lines: `parse` raises what is wrong with one; `apply` does a group, in its order.

    What `apply` raises, and of what `parse` raises `fatal`, ends the work.
    """

    parse: Callable[[bytes], Item]
    apply: Callable[[Sequence[Item]], Awaitable[Sequence[LineOutcome]]]
    fatal: tuple[type[Exception], ...] = ()


class LineWorker(Generic[Item]):
    """One body; its answer comes in pieces, a group of lines each."""

    def __init__(self, work: LineWork[Item], answers: LineAnswers, skip: int = 0) -> None:
        self._work = work
        self._answers = answers
        self._queue = LineQueue(skip)
        self._room = asyncio.Semaphore(_ANSWERS)
        self._ready: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._left = False

    async def run(self, body: StreamReader) -> AsyncGenerator[bytes]:
        """Raises what ended the reading or the work, once all that was done before it is answered."""
        working = asyncio.create_task(self._work_off())
        reading = asyncio.create_task(self._read(body))
        try:
            while (answer := await self._ready.get()) is not None:
                yield answer
                self._room.release()
            await working
            await reading
            yield self._answers.end(self._queue.seen)
        finally:
            reading.cancel()
            await self._finished(working)

    async def _finished(self, working: asyncio.Task[None]) -> None:
        """The client reads nothing any more: what is in the queue, which is bounded, is done all the same."""
        self._left = True
        self._room.release()
        self._queue.end()
        try:
            await asyncio.wait([working])
        finally:
            working.cancel()

    async def _read(self, body: StreamReader) -> None:
        splitter = LineSplitter()
        try:
            while data := await body.readany():
                await self._queue.put(splitter.feed(data))
            await self._queue.put(splitter.finish())
        finally:
            self._queue.end()

    async def _work_off(self) -> None:
        try:
            while group := await self._queue.take(GROUP):
                await self._give(await self._done(group))
        finally:
            self._ready.put_nowait(None)

    async def _give(self, answer: bytes) -> None:
        await self._room.acquire()
        if self._left:
            self._room.release()
        else:
            self._ready.put_nowait(answer)

    async def _done(self, group: LineGroup) -> bytes:
        parsed = await self._parsed(group)
        results = iter(await self._apply([item for _, item in parsed if not isinstance(item, LineFailure)]))
        outcomes = [item if isinstance(item, LineFailure) else next(results) for _, item in parsed]
        return self._answers.of([number for number, _ in parsed], outcomes, group.last)

    async def _apply(self, items: Sequence[Item]) -> Sequence[LineOutcome]:
        return await self._work.apply(items) if items else []

    async def _parsed(self, group: LineGroup) -> list[tuple[int, Item | LineFailure]]:
        """Each line that is not blank, by its number."""
        time_slice = TimeSlice()
        found: list[tuple[int, Item | LineFailure]] = []
        for number, line in enumerate(group.lines, group.first):
            if line and not line.isspace():
                found.append((number, self._item(line)))
            if time_slice.is_due:
                await time_slice.rest()
        return found

    def _item(self, line: bytes) -> Item | LineFailure:
        try:
            return self._work.parse(line)
        except self._work.fatal:
            raise
        except EXPECTED as error:
            return LineFailure(cid_in(line), error)
