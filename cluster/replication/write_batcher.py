"""Group commit: what is written while one batch goes to disk goes together into the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass

from blockstore.common.grouped import grouped
from cluster.common.cooperative import Slices, TimeSlice
from cluster.pinset.changes import PinWrite, Written
from cluster.pinset.log.batch import MAX_BATCH_DOCUMENTS
from cluster.replication.gossip_message import MAX_GOSSIP_BYTES

_MAX_WAITING = 1024  # parts; further callers wait for room
_MAX_BYTES = MAX_GOSSIP_BYTES  # of one batch: what is larger is only announced, and pulled by each member
_OVERHEAD = 300  # bytes of a write beside its value


@dataclass(frozen=True, slots=True)
class _Part:
    """Writes of one caller that fit into one batch."""

    writes: Sequence[PinWrite]
    size: int
    answer: asyncio.Future[Sequence[bytes | None]]


class WriteBatcher:
    """Callers `submit`; `run` writes what they submit, batch after batch, until `close`."""

    def __init__(
        self,
        write: Callable[[Sequence[PinWrite]], Awaitable[Written]],
        batch_size: int,
        slices: Slices = TimeSlice,
    ) -> None:
        self._slices = slices
        self._write = write
        self._size = min(batch_size, MAX_BATCH_DOCUMENTS)
        self._queue: asyncio.Queue[_Part | None] = asyncio.Queue(_MAX_WAITING)
        self._first: _Part | None = None  # of the next batch: it did not fit into the one before
        self._ended = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Parts that are not in a batch yet."""
        return self._queue.qsize() + (self._first is not None)

    async def submit(self, writes: Sequence[PinWrite]) -> list[bytes | None]:
        """Returns when they are durable: each entry's value just before. Raises what writing raised.

        They are one batch where they fit into one. Cancelling does not take them back.
        """
        parts = list(self._parts(writes))
        for part in parts:
            await self._queue.put(part)
        answers = await asyncio.gather(*(part.answer for part in parts))
        return [before for answer in answers for before in answer]

    async def close(self) -> None:
        """Returns when all that was submitted is written; nothing may be submitted after it."""
        if not self._ended.is_set():
            await self._queue.put(None)
            await self._ended.wait()

    async def run(self) -> None:
        last = False
        try:
            while not last:
                batch, last = await self._collect()
                if batch:
                    await self._flush(batch)
        finally:
            self._ended.set()

    def _parts(self, writes: Sequence[PinWrite]) -> Generator[_Part]:
        for part in grouped(((write, _size(write)) for write in writes), _MAX_BYTES, self._size):
            yield _Part(part, sum(map(_size, part)), asyncio.get_running_loop().create_future())

    def _has_room(self, writes: int, size: int) -> bool:
        return writes <= self._size and size <= _MAX_BYTES

    async def _collect(self) -> tuple[list[_Part], bool]:
        """The next batch: all that waits, as far as it fits; and whether it is the last one."""
        batch: list[_Part] = []
        writes = size = 0
        while self._first is not None or not (batch and self._queue.empty()):
            part, self._first = self._first or await self._queue.get(), None
            if part is None:
                return batch, True
            writes, size = writes + len(part.writes), size + part.size
            if batch and not self._has_room(writes, size):
                self._first = part
                break
            batch.append(part)
        return batch, False

    async def _flush(self, batch: Sequence[_Part]) -> None:
        try:
            written = await self._write([write for part in batch for write in part.writes])
        except Exception as error:  # noqa: BLE001 - the callers raise it; the next batch may fare better
            for part in batch:
                if not part.answer.done():
                    part.answer.set_exception(error)
        else:
            await self._answer(batch, written.before)

    async def _answer(self, batch: Sequence[_Part], before: Sequence[bytes | None]) -> None:
        time_slice = self._slices()
        start = 0
        for part in batch:
            if not part.answer.done():
                part.answer.set_result(before[start : start + len(part.writes)])
            start += len(part.writes)
            await time_slice.yield_if_due()


def _size(write: PinWrite) -> int:
    return (write.pin.size if write.pin else 0) + _OVERHEAD
