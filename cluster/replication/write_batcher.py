"""Group commit: writes of many callers become one batch, by number, size or age, whichever is first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cluster.common.cooperative import Slices, TimeSlice
from cluster.pinset.batch import MAX_BATCH_DOCUMENTS
from cluster.pinset.changes import PinWrite, Written

_MAX_WAITING = 16_384  # writes; further callers wait for room
_MAX_BYTES = 512 * 1024  # of values in one batch: with keys and frames well under MAX_BATCH_BYTES
_OVERHEAD = 300  # bytes of a write beside its value


@dataclass(frozen=True, slots=True)
class _Waiting:
    write: PinWrite
    size: int
    answer: asyncio.Future[bytes | None]


class WriteBatcher:
    """Callers `submit`; `run` writes what they submit, batch after batch, until `close`."""

    def __init__(
        self,
        write: Callable[[Sequence[PinWrite]], Awaitable[Written]],
        batch_size: int,
        batch_age: float,
        slices: Slices = TimeSlice,
    ) -> None:
        self._slices = slices
        self._write = write
        self._size = min(batch_size, MAX_BATCH_DOCUMENTS)
        self._age = batch_age
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue(_MAX_WAITING)
        self._ended = asyncio.Event()

    async def submit(self, write: PinWrite) -> bytes | None:
        """Returns when the write is durable: the entry's value just before. Raises what writing raised.

        Cancelling does not take it back.
        """
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        size = (write.pin.size if write.pin else 0) + _OVERHEAD
        await self._queue.put(_Waiting(write, size, answer))
        return await answer

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

    async def _collect(self) -> tuple[list[_Waiting], bool]:
        """The next batch, and whether it is the last one."""
        batch: list[_Waiting] = []
        total = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as deadline:
                while len(batch) < self._size and total < _MAX_BYTES:
                    waiting = await self._queue.get()
                    if waiting is None:
                        return batch, True
                    if not batch:
                        deadline.reschedule(asyncio.get_running_loop().time() + self._age)
                    batch.append(waiting)
                    total += waiting.size
        return batch, False

    async def _flush(self, batch: Sequence[_Waiting]) -> None:
        try:
            written = await self._write([waiting.write for waiting in batch])
        except Exception as error:  # noqa: BLE001 - the callers raise it; the next batch may fare better
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        else:
            time_slice = self._slices()
            for waiting, before in zip(batch, written.before, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(before)
                await time_slice.yield_if_due()
