"""Writes the frames of one connection: data one after the other, answers before any data that waits.

The reader never waits for the writer, so two busy ends cannot block each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from node.p2p.errors import ConnectionLost
from node.p2p.transport.byte_stream import ByteStream
from node.p2p.transport.yamux.frames import data_frames, header

STALL = 60.0  # seconds in which nothing could be written


class FrameWriter:
    """`lost` is why nothing can be written any more; `on_stall` is awaited when that is a peer's silence."""

    def __init__(self, pipe: ByteStream, on_stall: Callable[[], Awaitable[None]]) -> None:
        self._pipe = pipe
        self._on_stall = on_stall
        self._answers: list[bytes] = []
        self._answered = trio.Event()
        self._writing = trio.Lock()
        self.lost = ""

    @property
    def waiting(self) -> int:
        """Answers that are not written yet."""
        return len(self._answers)

    def lose(self, reason: str) -> None:
        """The first reason stays."""
        self.lost = self.lost or reason

    def answer(self, kind: int, flags: int, number: int, value: int) -> None:
        """Queue a frame without data."""
        self._answers.append(header(kind, flags, number, value))
        self._answered.set()

    async def send_data(self, number: int, data: memoryview) -> None:
        """Write data of one stream. Raises ConnectionLost."""
        await self.write(data_frames(number, data))

    async def flush(self) -> None:
        """Write the answers that wait. Raises ConnectionLost."""
        await self.write(b"")

    async def run(self) -> None:
        """Write answers as they come. Raises ConnectionLost."""
        while True:
            await self._answered.wait()
            self._answered = trio.Event()
            if self._answers:
                await self.flush()

    async def write(self, frames: bytes) -> None:
        """Write these, and with them the answers that wait. Raises ConnectionLost."""
        async with self._writing:
            if self.lost:
                raise ConnectionLost(self.lost)
            answers, self._answers = self._answers, []
            if not answers and not frames:
                return  # another writer has taken them along
            with trio.move_on_after(STALL) as scope:
                await self._pipe.write(b"".join((*answers, frames)) if answers else frames)
        if scope.cancelled_caught:
            self.lose(f"nothing could be written for {STALL:.0f} s")
            await self._on_stall()
            raise ConnectionLost(self.lost)
