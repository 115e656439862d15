"""Many streams over one connection: yamux (/yamux/1.0.0), with every number a stranger can choose bounded.

py-libp2p's muxer spends most of a bulk transfer in locks and layered reads. This one parses what a read
brings in one pass, hands whole frames to their streams, answers windows and pings from a queue (the
reader never waits for the writer, so two busy ends cannot block each other), and writes up to four
frames a system call.

Bounds: streams a side may open, bytes that all of them together may be sent before they are read, frames
waiting to be answered. A peer that exceeds what it was granted loses the connection. By the specification a
stream may be sent 256 KiB unasked, so many streams may hold much: what lies unread is counted against a
budget of the connection and one of the host, and streams are reset where that is exceeded.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from node.p2p.errors import ConnectionLost, NetworkError, ProtocolViolation, StreamLost
from node.p2p.transport.byte_stream import ByteStream
from node.p2p.transport.memory_budget import MemoryBudget

PROTOCOL = "/yamux/1.0.0"
INITIAL_WINDOW = 256 * 1024  # by the specification
WINDOW = 8 * 1024 * 1024  # of a stream that is being read: what a long line carries in one round trip
CONNECTION_WINDOW = 16 * 1024 * 1024  # of all streams together; above it each keeps its initial one
MAX_STREAMS = 256  # of each side
MAX_FRAME = 65519 - 12  # data of a frame: with its header, exactly one Noise message
_BATCH = 4 * MAX_FRAME  # data written at once; then another stream has its turn
MOST_UNREAD = 32 * 1024 * 1024  # bytes of one connection: as many as Bitswap asks of one peer at once
_MAX_SHED = 64  # streams reset for what they held; a peer that goes on is disconnected
_MAX_ANSWERS = 4096  # frames that wait to be written
_STALL = 60.0  # seconds in which nothing could be written
_MAX_WINDOW = 2**32 - 1

_HEADER = struct.Struct("!BBHII")
_DATA, _UPDATE, _PING, _GO_AWAY = range(4)
_SYN, _ACK, _FIN, _RST = 1, 2, 4, 8


class YamuxStream:
    """One stream. One task may read, one may write."""

    def __init__(self, connection: Yamux, number: int) -> None:
        self.number = number
        self._connection = connection
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
        """Bytes that came and nobody has read."""
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
            await self._connection.send_data(self.number, view[:room])
            view = view[room:]

    async def close(self) -> None:
        """We shall write no more; what the peer has sent may still be read."""
        if not (self.closed or self.lost):
            self.closed = True
            self._connection.answer(_UPDATE, _FIN, self.number, 0)
            self._forget_if_done()

    async def reset(self) -> None:
        """End both directions at once."""
        self.drop("this side reset the stream")

    def drop(self, reason: str) -> None:
        """The same, at once."""
        if not self.lost:
            self._connection.answer(_UPDATE, _RST, self.number, 0)
            self.lose(reason)

    def feed(self, data: bytes) -> None:
        """The peer's bytes, already counted against its window by `expect`."""
        if self.lost:
            return
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered >= self._wanted:
            self._readable.set()
        self._connection.hold(len(data))

    def expect(self, length: int) -> None:
        """A data frame begins. Raises ProtocolViolation when it is larger than granted."""
        if length > self.granted:
            raise ProtocolViolation(f"stream {self.number}: {length} bytes sent, {self.granted} granted")
        self.granted -= length
        self._connection.granted -= length

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
        self._connection.release(self._buffered)
        self._chunks.clear()
        self._buffered = 0
        self._readable.set()
        self._writable.set()
        self._connection.forget(self)

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
        with trio.move_on_after(_STALL):
            while not (self._window or self.lost or self.closed):
                self._writable = trio.Event()
                await self._writable.wait()
        if self.lost or self.closed:
            raise StreamLost(self.lost or "this side has closed the stream")
        if not self._window:
            raise StreamLost(f"the peer has read nothing for {_STALL:.0f} s")

    def _took(self, n: int) -> None:
        self._buffered -= n
        self._connection.release(n)
        if not self.ended:
            self._grant()

    def _grant(self) -> None:
        """Let the peer send what we are ready to hold, in steps of half of it, or what is waited for."""
        own = self._buffered + self.granted
        left = CONNECTION_WINDOW - (self._connection.promised - own)
        ready = max(INITIAL_WINDOW, min(WINDOW, left, self._connection.room()), self._wanted)
        delta = ready - own
        if delta >= ready // 2 or own < self._wanted:
            self.granted += delta
            self._connection.granted += delta
            self._connection.answer(_UPDATE, 0, self.number, delta)

    def _forget_if_done(self) -> None:
        if self.ended and self.closed:
            self._connection.forget(self)


class Yamux:
    """The muxer of one connection. `run` reads until the connection ends."""

    def __init__(
        self,
        session: ByteStream,
        initiator: bool,
        on_stream: Callable[[YamuxStream], None],
        memory: MemoryBudget | None = None,
    ) -> None:
        self._session = session
        self._memory = memory or MemoryBudget()
        self._shed = 0
        self._on_stream = on_stream
        self._next = 1 if initiator else 2
        self._streams: dict[int, YamuxStream] = {}
        self._answers: list[bytes] = []
        self._answering = trio.Event()
        self._writing = trio.Lock()
        self._header = b""
        self._target: YamuxStream | None = None
        self._left = 0  # bytes of the data frame that is being read
        self._last = False  # it carries FIN
        self._leaving = False  # the peer takes no new streams
        self.buffered = 0  # bytes of all streams that are not read yet,
        self.granted = 0  # and those that may still come
        self.lost = ""

    @property
    def promised(self) -> int:
        """Bytes that we hold, or have said that we would."""
        return self.buffered + self.granted

    async def run(self) -> None:
        """Returns when the connection has ended; `lost` says why."""
        self._memory.join(self)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_lost, self._write_answers, nursery.cancel_scope)
                await self._until_lost(self._read_frames, nursery.cancel_scope)
        finally:
            self._memory.leave(self)
            await self._lose("the connection is gone")

    async def open_stream(self) -> YamuxStream:
        """Raises ConnectionLost; StreamLost when there are too many."""
        if self.lost or self._leaving:
            raise ConnectionLost(self.lost or "the peer is leaving")
        if sum(number % 2 == self._next % 2 for number in self._streams) >= MAX_STREAMS:
            raise StreamLost(f"{MAX_STREAMS} streams to this peer are open")
        stream = self._remember(self._next)
        self.answer(_UPDATE, _SYN, self._next, 0)
        self._next += 2
        await trio.lowlevel.checkpoint()
        return stream

    async def close(self) -> None:
        """Say good-bye, if that can be said at once, and close."""
        if not self.lost:
            with trio.move_on_after(0.2):
                self.answer(_GO_AWAY, 0, 0, 0)
                await self._send(b"")
        await self._lose("this side closed the connection")

    def answer(self, kind: int, flags: int, number: int, value: int) -> None:
        """Queue a frame without data; written before any data that waits."""
        self._answers.append(_HEADER.pack(0, kind, flags, number, value))
        self._answering.set()

    async def send_data(self, number: int, data: memoryview) -> None:
        """Write data of one stream, within its window."""
        parts: list[bytes | memoryview] = []
        for start in range(0, len(data), MAX_FRAME):
            piece = data[start : start + MAX_FRAME]
            parts += (_HEADER.pack(0, _DATA, 0, number, len(piece)), piece)
        await self._send(b"".join(parts))

    def hold(self, size: int) -> None:
        """A stream was sent so many bytes that are not read yet."""
        self.buffered += size
        self._memory.take(size)
        while self.buffered > MOST_UNREAD and (self.shed(owed_only=True) or self.shed(owed_only=False)):
            continue

    def release(self, size: int) -> None:
        self.buffered -= size
        self._memory.give(size)

    def room(self) -> int:
        """What the host has left for one stream."""
        return self._memory.room()

    @property
    def extra(self) -> int:
        """See `memory.Holder`."""
        return max(0, self.promised - INITIAL_WINDOW * len(self._streams))

    def owed(self) -> int:
        """See `memory.Holder`."""
        return sum(stream.unread for stream in self._streams.values() if stream.owes)

    def shed(self, *, owed_only: bool) -> bool:
        """See `memory.Holder`."""
        for stream in self._streams.values():
            if stream.owes if owed_only else stream.unread:
                self._shed += 1
                stream.drop("too much was sent that could not be read")
                return True
        return False

    def forget(self, stream: YamuxStream) -> None:
        if self._streams.get(stream.number) is stream:
            del self._streams[stream.number]
            self.granted -= stream.granted

    async def _send(self, frames: bytes) -> None:
        async with self._writing:
            if self.lost:
                raise ConnectionLost(self.lost)
            answers, self._answers = self._answers, []
            if not answers and not frames:
                return  # another writer has taken them along
            with trio.move_on_after(_STALL) as scope:
                await self._session.write(b"".join((*answers, frames)) if answers else frames)
        if scope.cancelled_caught:
            await self._lose(f"nothing could be written for {_STALL:.0f} s")
            raise ConnectionLost(self.lost)

    async def _until_lost(self, work: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            await work()
        except NetworkError as error:
            self.lost = self.lost or str(error)
            scope.cancel()

    async def _read_frames(self) -> None:
        while True:
            self._parse(await self._session.read())
            if len(self._answers) > _MAX_ANSWERS:
                raise ProtocolViolation(f"{_MAX_ANSWERS} answers wait for the peer to read them")
            if self._shed > _MAX_SHED:
                raise ProtocolViolation("the peer begins messages and does not end them")

    async def _write_answers(self) -> None:
        while True:
            await self._answering.wait()
            self._answering = trio.Event()
            if self._answers:
                await self._send(b"")

    async def _lose(self, reason: str) -> None:
        self.lost = self.lost or reason
        for stream in list(self._streams.values()):
            stream.lose(self.lost)
        await self._session.close()

    def _parse(self, data: bytes) -> None:
        """Take in what one read brought: whole frames, or parts of them. Raises ProtocolViolation."""
        if not data:
            raise ConnectionLost("the peer closed the connection")
        position, end = 0, len(data)
        while position < end:
            if self._left:
                piece = data[position : position + self._left]
                position += len(piece)
                self._feed(piece)
                continue
            header = self._header + data[position : position + 12 - len(self._header)]
            position += len(header) - len(self._header)
            self._header = header
            if len(header) == 12:
                self._header = b""
                self._take(*_HEADER.unpack(header))

    def _feed(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._target is not None:
            self._target.feed(piece)
            if self._last and not self._left:
                self._target.end()

    def _take(self, version: int, kind: int, flags: int, number: int, value: int) -> None:
        if version != 0 or kind > _GO_AWAY:
            raise ProtocolViolation(f"not a yamux frame (version {version}, type {kind})")
        if kind == _PING:
            if flags & _SYN:
                self.answer(_PING, _ACK, 0, value)
        elif kind == _GO_AWAY:
            self._leaving = True
        else:
            self._take_for_stream(kind, flags, number, value)

    def _take_for_stream(self, kind: int, flags: int, number: int, value: int) -> None:
        stream = self._accept(number) if flags & _SYN else self._streams.get(number)
        if kind == _DATA:
            self._target, self._left, self._last = stream, value, bool(flags & _FIN)
        if stream is None:
            return  # closed by us: what was on its way is dropped
        if kind == _DATA:
            stream.expect(value)
        else:
            stream.widen(value)
        if flags & _RST:
            stream.lose("the peer reset the stream")
        elif flags & _FIN and (kind == _UPDATE or not value):
            stream.end()

    def _accept(self, number: int) -> YamuxStream | None:
        if number == 0 or number % 2 == self._next % 2 or number in self._streams:
            raise ProtocolViolation(f"the peer may not open stream {number}")
        if sum(known % 2 == number % 2 for known in self._streams) >= MAX_STREAMS:
            self.answer(_UPDATE, _RST, number, 0)
            return None
        stream = self._remember(number)
        self.answer(_UPDATE, _ACK, number, 0)
        self._on_stream(stream)
        return stream

    def _remember(self, number: int) -> YamuxStream:
        stream = self._streams[number] = YamuxStream(self, number)
        self.granted += stream.granted
        return stream
