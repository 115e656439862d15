"""A session of yamux: many streams over one connection, every number that a peer can choose bounded.

py-libp2p's muxer spends most of a bulk transfer in locks and layered reads. This one parses what a read
brings in one pass, hands whole frames to their streams, answers windows and pings from a queue, and writes
up to four frames a system call.

Bounds: streams a side may open, bytes that all of them together may be sent before they are read, frames
waiting to be answered. A peer that exceeds what it was granted loses the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from node.p2p.errors import ConnectionLost, NetworkError, ProtocolViolation, StreamLost
from node.p2p.transport.byte_stream import ByteStream
from node.p2p.transport.memory_budget import MemoryBudget
from node.p2p.transport.yamux.frame_writer import FrameWriter
from node.p2p.transport.yamux.frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    PING,
    RST,
    SYN,
    UPDATE,
    FrameParser,
)
from node.p2p.transport.yamux.receive_window import ReceiveWindow
from node.p2p.transport.yamux.stream import YamuxStream

MAX_STREAMS = 256  # of each side
_MAX_DROPPED = 64  # streams reset for what they held; a peer that goes on is disconnected
_MAX_ANSWERS = 4096  # frames that wait to be written
_GOOD_BYE = 0.2  # seconds to say it


class Yamux:
    """The muxer of one connection. `run` reads until the connection ends. Satisfies `frames.FrameSink`."""

    def __init__(
        self,
        pipe: ByteStream,
        initiator: bool,
        on_stream: Callable[[YamuxStream], None],
        memory: MemoryBudget | None = None,
    ) -> None:
        self._pipe = pipe
        self._on_stream = on_stream
        self._next = 1 if initiator else 2
        self._streams: dict[int, YamuxStream] = {}
        self._receiving = ReceiveWindow(self._streams, memory or MemoryBudget())
        self._writer = FrameWriter(pipe, self._end)
        self._parser = FrameParser(self)
        self._target: YamuxStream | None = None  # of the data frame that is being read
        self._closes = False  # that frame carries FIN
        self._leaving = False  # the peer takes no new streams

    @property
    def lost(self) -> str:
        """Why the connection ended; empty while it lives."""
        return self._writer.lost

    @property
    def unread(self) -> int:
        """Bytes of all streams that came and were not read yet."""
        return self._receiving.unread

    @property
    def promised(self) -> int:
        """Bytes that are held, or that the peer was allowed to send."""
        return self._receiving.promised

    async def run(self) -> None:
        """Returns when the connection has ended; `lost` says why."""
        self._receiving.join()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_lost, self._writer.run, nursery.cancel_scope)
                await self._until_lost(self._read_frames, nursery.cancel_scope)
        finally:
            self._receiving.leave()
            await self._lose("the connection is gone")

    async def open_stream(self) -> YamuxStream:
        """Raises ConnectionLost; StreamLost when there are too many."""
        if self.lost or self._leaving:
            raise ConnectionLost(self.lost or "the peer is leaving")
        if self._opened_by(self._next) >= MAX_STREAMS:
            raise StreamLost(f"{MAX_STREAMS} streams to this peer are open")
        stream = self._remember(self._next)
        self._writer.answer(UPDATE, SYN, self._next, 0)
        self._next += 2
        await trio.lowlevel.checkpoint()
        return stream

    async def close(self) -> None:
        """Say good-bye, if that can be said at once, and close."""
        if not self.lost:
            with trio.move_on_after(_GOOD_BYE):
                self._writer.answer(GO_AWAY, 0, 0, 0)
                await self._writer.flush()
        await self._lose("this side closed the connection")

    def take_frame(self, kind: int, flags: int, number: int, value: int) -> None:
        """See `frames.FrameSink`. Raises ProtocolViolation."""
        if kind == PING:
            if flags & SYN:
                self._writer.answer(PING, ACK, 0, value)
        elif kind == GO_AWAY:
            self._leaving = True
        else:
            self._take_for_stream(kind, flags, number, value)

    def take_data(self, piece: bytes, last: bool) -> None:
        """See `frames.FrameSink`."""
        if self._target is not None:
            self._target.feed(piece)
            if last and self._closes:
                self._target.end()

    def _take_for_stream(self, kind: int, flags: int, number: int, value: int) -> None:
        stream = self._accept(number) if flags & SYN else self._streams.get(number)
        if kind == DATA:
            self._target, self._closes = stream, bool(flags & FIN)
        if stream is None:
            return  # closed by us: what was on its way is dropped
        if kind == DATA:
            stream.expect(value)
        else:
            stream.widen(value)
        if flags & RST:
            stream.lose("the peer reset the stream")
        elif flags & FIN and (kind == UPDATE or not value):
            stream.end()

    def _accept(self, number: int) -> YamuxStream | None:
        if number == 0 or number % 2 == self._next % 2 or number in self._streams:
            raise ProtocolViolation(f"the peer may not open stream {number}")
        if self._opened_by(number) >= MAX_STREAMS:
            self._writer.answer(UPDATE, RST, number, 0)
            return None
        stream = self._remember(number)
        self._writer.answer(UPDATE, ACK, number, 0)
        self._on_stream(stream)
        return stream

    def _opened_by(self, number: int) -> int:
        """How many streams are open of the side that stream would be of."""
        return sum(known % 2 == number % 2 for known in self._streams)

    def _remember(self, number: int) -> YamuxStream:
        stream = YamuxStream(number, self._writer, self._receiving, self._forget)
        self._streams[number] = stream
        self._receiving.grant(stream.granted)
        return stream

    def _forget(self, stream: YamuxStream) -> None:
        if self._streams.get(stream.number) is stream:
            del self._streams[stream.number]
            self._receiving.grant(-stream.granted)

    async def _until_lost(self, work: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            await work()
        except NetworkError as error:
            self._writer.lose(str(error))
            scope.cancel()

    async def _read_frames(self) -> None:
        while True:
            data = await self._pipe.read()
            if not data:
                raise ConnectionLost("the peer closed the connection")
            self._parser.parse(data)
            if self._writer.waiting > _MAX_ANSWERS:
                raise ProtocolViolation(f"{_MAX_ANSWERS} answers wait for the peer to read them")
            if self._receiving.dropped > _MAX_DROPPED:
                raise ProtocolViolation("the peer begins messages and does not end them")

    async def _lose(self, reason: str) -> None:
        self._writer.lose(reason)
        await self._end()

    async def _end(self) -> None:
        for stream in tuple(self._streams.values()):
            stream.lose(self.lost)
        await self._pipe.close()
