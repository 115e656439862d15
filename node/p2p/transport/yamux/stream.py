"""One stream of yamux: what came and is not read yet, what may still come, and what may still be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from node.p2p.errors import ProtocolViolation, StreamLost
from node.p2p.transport.yamux.frame_writer import STALL, FrameWriter
from node.p2p.transport.yamux.frames import FIN, INITIAL_WINDOW, MAX_DATA, RST, UPDATE
from node.p2p.transport.yamux.receive_window import ReceiveWindow

_BATCH = 4 * MAX_DATA  # bytes written at once; then another stream has its turn
_MAX_WINDOW = 2**32 - 1


class YamuxStream:
    """One task may read, one may write. `forget` is called when neither side writes any more."""

    def __init__(
        self,
        number: int,
        writer: FrameWriter,
        receiving: ReceiveWindow,
        forget: Callable[[YamuxStream], object],
    ) -> None:
        self.number = number
        self._writer = writer
        self._receiving = receiving
        self._forget = forget
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._wanted = 0  # bytes a reader waits for
        self.granted = INITIAL_WINDOW  # bytes the peer may still send
        self._window = INITIAL_WINDOW  # bytes we may still send
        self._readable = trio.Event()
        self._writable = trio.Event()
        self.ended = False  # the peer has closed its side
        self.closed = False  # we have closed ours
        self.lost: str = ""  # why both sides are gone

    async def read(self, n: int | None = None) -> bytes:
        """Between 1 and n bytes, empty at the end of the stream. Raises StreamLost."""
        await self._wait_for(1)
        if not self._chunks:
            return b""
        data = self._chunks.popleft()
        if n is not None and len(data) > n:
            self._chunks.appendleft(data[n:])
            data = data[:n]
        self._took(len(data))
        return data

    @property
    def unread(self) -> int:
        """Bytes that came and were not read yet."""
        return self._buffered

    @property
    def owes(self) -> bool:
        """Whether the peer has sent a part of something and we wait for the rest."""
        return 0 < self._buffered < self._wanted

    async def wait_for(self, n: int) -> None:
        """Until n bytes are here, or no more will come. Raises StreamLost."""
        await self._wait_for(n)

    async def read_exactly(self, n: int) -> bytes:
        """n bytes. Raises StreamLost, also when the stream ends before."""
        await self._wait_for(n)
        if self._buffered < n:
            raise StreamLost("the stream ended in the middle of a message")
        parts, left = [], n
        while left:
            data = self._chunks.popleft()
            if len(data) > left:
                self._chunks.appendleft(data[left:])
                data = data[:left]
            parts.append(data)
            left -= len(data)
        self._took(n)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def write(self, data: bytes) -> None:
        """Returns when the bytes are handed to the socket. Raises StreamLost, ConnectionLost."""
        view = memoryview(data)
        while view:
            await self._wait_for_window()
            room = min(self._window, len(view), _BATCH)
            self._window -= room
            await self._writer.send_data(self.number, view[:room])
            view = view[room:]

    async def close(self) -> None:
        """We shall write no more; what the peer has sent may still be read."""
        if not (self.closed or self.lost):
            self.closed = True
            self._writer.answer(UPDATE, FIN, self.number, 0)
            self._forget_if_done()

    async def reset(self) -> None:
        """End both directions at once."""
        self.drop("this side reset the stream")

    def drop(self, reason: str) -> None:
        """The same, at once."""
        if not self.lost:
            self._writer.answer(UPDATE, RST, self.number, 0)
            self.lose(reason)

    def feed(self, data: bytes) -> None:
        """The peer's bytes, already counted against its window by `expect`."""
        if self.lost:
            return
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered >= self._wanted:
            self._readable.set()
        self._receiving.hold(len(data))

    def expect(self, length: int) -> None:
        """A data frame begins. Raises ProtocolViolation when it is larger than granted."""
        if length > self.granted:
            raise ProtocolViolation(f"stream {self.number}: {length} bytes sent, {self.granted} granted")
        self.granted -= length
        self._receiving.grant(-length)

    def widen(self, delta: int) -> None:
        """The peer grants us more. Raises ProtocolViolation when the sum is no 32-bit number."""
        self._window += delta
        if self._window > _MAX_WINDOW:
            raise ProtocolViolation(f"stream {self.number}: a window of more than 4 GiB")
        self._writable.set()

    def end(self) -> None:
        """The peer will write no more."""
        self.ended = True
        self._readable.set()
        self._forget_if_done()

    def lose(self, reason: str) -> None:
        """Both directions are gone, and what was not read with them."""
        self.lost = self.lost or reason
        self._receiving.release(self._buffered)
        self._chunks.clear()
        self._buffered = 0
        self._readable.set()
        self._writable.set()
        self._forget(self)

    async def _wait_for(self, n: int) -> None:
        while self._buffered < n and not (self.ended or self.lost):
            self._wanted = n
            self._grant()
            self._readable = trio.Event()
            await self._readable.wait()
        self._wanted = 0
        if self.lost:
            raise StreamLost(self.lost)
        await trio.lowlevel.checkpoint_if_cancelled()

    async def _wait_for_window(self) -> None:
        with trio.move_on_after(STALL):
            while not (self._window or self.lost or self.closed):
                self._writable = trio.Event()
                await self._writable.wait()
        if self.lost or self.closed:
            raise StreamLost(self.lost or "this side has closed the stream")
        if not self._window:
            raise StreamLost(f"the peer has read nothing for {STALL:.0f} s")

    def _took(self, n: int) -> None:
        self._buffered -= n
        self._receiving.release(n)
        if not self.ended:
            self._grant()

    def _grant(self) -> None:
        """Let the peer send what we are ready to hold, in steps of half of it, or what is waited for."""
        own = self._buffered + self.granted
        ready = max(self._receiving.ready_for(own), self._wanted)
        delta = ready - own
        if delta >= ready // 2 or own < self._wanted:
            self.granted += delta
            self._receiving.grant(delta)
            self._writer.answer(UPDATE, 0, self.number, delta)

    def _forget_if_done(self) -> None:
        if self.ended and self.closed:
            self._forget(self)
