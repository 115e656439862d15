"""Messages over streams, on the trio side: varint-framed, in order, one stream of ours kept open a peer.

Outbound, an `Outbox` writes what is queued for one peer and one set of protocols; several messages in
one write when they are small. Inbound, `read_messages` takes a peer's allowance before it reads a
message, and gets it back when our handler is done: a peer that sends faster than we work waits, and one
that lies about a length takes no memory.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from blockstore.common import varint
from node.p2p.errors import ConnectionLost, NetworkError, ProtocolViolation
from node.p2p.transport.connection import Stream
from node.p2p.transport.negotiation import read_length
from node.p2p.transport.yamux import INITIAL_WINDOW

ALLOWANCE = 4 * 1024 * 1024  # bytes of one peer's messages that may wait for one handler
_TOGETHER = 256 * 1024  # bytes of small messages that share a write
_PATIENCE = 10.0  # seconds for a message, and as many more
_LEAST_RATE = 32 * 1024  # as this many bytes a second let it take
_TURN = 60.0  # seconds in which a long message gets its turn
_IDLE = 600.0  # seconds after which an unused stream of ours is closed


@dataclass(slots=True, eq=False)
class Outgoing:
    """One message on its way. `settled` is called once, with the protocol or with what went wrong."""

    peer: str
    protocols: tuple[str, ...]
    message: bytes
    settled: Callable[[str | NetworkError], None]
    withdrawn: bool = field(default=False)  # nobody waits for it any more; not sent unless it is being sent


class Outbox:
    """What waits for one peer on one set of protocols, and the stream it goes out on."""

    def __init__(
        self, open_stream: Callable[[str, Sequence[str]], Awaitable[Stream]], retire: Callable[[], object]
    ) -> None:
        self._open_stream = open_stream
        self._retire = retire  # called when no more may be put
        self._queue: deque[Outgoing] = deque()
        self._filled = trio.Event()
        self._stream: Stream | None = None

    def put(self, message: Outgoing) -> None:
        self._queue.append(message)
        self._filled.set()

    async def run(self) -> None:
        """Send until nothing has come for a while. Whatever is left when this ends has failed."""
        batch: list[Outgoing] = []
        try:
            while await self._wait():
                batch = self._take()
                if batch:
                    result = await self._deliver(batch)
                    _settle(batch, result)
                batch = []
        finally:
            self._retire()
            _settle([*batch, *self._queue], NetworkError("the network is closing"))
            self._queue.clear()
            if self._stream is not None:
                await self._stream.pipe.close()

    async def _wait(self) -> bool:
        with trio.move_on_after(_IDLE):
            while not self._queue:
                self._filled = trio.Event()
                await self._filled.wait()
        return bool(self._queue)

    def _take(self) -> list[Outgoing]:
        batch: list[Outgoing] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].message) <= _TOGETHER):
            message = self._queue.popleft()
            if message.withdrawn:
                _settle([message], NetworkError("withdrawn"))
            else:
                batch.append(message)
                size += len(message.message)
        return batch

    async def _deliver(self, batch: Sequence[Outgoing]) -> str | NetworkError:
        """Write on the kept stream; a stream that turns out to be broken is opened again, once."""
        parts = [part for one in batch for part in (varint.encode(len(one.message)), one.message)]
        data = b"".join(parts)
        kept = self._stream is not None
        result = await self._write(batch[0], data)
        return await self._write(batch[0], data) if kept and isinstance(result, NetworkError) else result

    async def _write(self, to: Outgoing, data: bytes) -> str | NetworkError:
        try:
            if self._stream is None:
                self._stream = await self._open_stream(to.peer, to.protocols)
            await self._stream.pipe.write(data)
        except NetworkError as error:
            await self._drop()
            return error
        except BaseException:
            await self._drop()
            raise
        return self._stream.protocol

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.pipe.reset()


def _settle(batch: Sequence[Outgoing], result: str | NetworkError) -> None:
    for message in batch:
        message.settled(result)


class Allowance:
    """Bytes of one peer's messages that we have taken in and not yet dealt with."""

    def __init__(self, most: int = ALLOWANCE) -> None:
        self._most = most
        self._used = 0
        self._freed = trio.Event()
        self._run = trio.lowlevel.current_trio_token()

    async def take(self, size: int) -> None:
        """Wait until there is room; a message larger than all of it waits until nothing else is there."""
        while self._used and self._used + size > self._most:
            if self._freed.is_set():  # the messages of several streams may wait for the same event
                self._freed = trio.Event()
            await self._freed.wait()
        self._used += size

    def give(self, size: int) -> None:
        if self._run is not trio.lowlevel.current_trio_token():
            return  # trio died since, and whoever waited here with it
        self._used -= size
        self._freed.set()


async def read_messages(
    stream: Stream, longest: int, allowance: Allowance, deliver: Callable[[bytes], None]
) -> None:
    """Hand over each message until the peer ends the stream. Raises what `read_message` raises."""
    while (message := await read_message(stream, longest, allowance)) is not None:
        deliver(message)


async def read_message(stream: Stream, longest: int, allowance: Allowance) -> bytes | None:
    """The next message, its bytes taken of the allowance; None when the peer has ended the stream.

    Raises ProtocolViolation for a message above `longest` bytes, StreamLost when the stream ends inside one,
    ConnectionLost when one does not come to its end in time.
    """
    first = await stream.pipe.read(1)
    if not first:
        return None
    with trio.CancelScope() as patience:
        return await _read(stream, first[0], longest, allowance, patience)
    raise ConnectionLost("a message was begun and did not come to its end in time")


async def _read(
    stream: Stream, first: int, longest: int, allowance: Allowance, patience: trio.CancelScope
) -> bytes:
    """The rest of a message. `patience` is with the peer, not with our own handlers."""
    patience.deadline = trio.current_time() + _PATIENCE
    length = await _length(stream, first, longest)
    # What may come unasked is waited for first: who stalls there keeps nobody waiting for the allowance.
    at_first = min(length, INITIAL_WINDOW)
    patience.deadline = trio.current_time() + _time_for(at_first)
    await stream.pipe.wait_for(at_first)
    patience.deadline = trio.current_time() + _TURN if length > at_first else math.inf
    await allowance.take(length)
    try:
        patience.deadline = trio.current_time() + _time_for(length)
        return await stream.pipe.read_exactly(length)
    except BaseException:
        allowance.give(length)
        raise


async def _length(stream: Stream, first: int, longest: int) -> int:
    length = first
    if length & 0x80:
        length = (length & 0x7F) + (await read_length(stream.pipe, longest >> 7) << 7)
    if length > longest:
        raise ProtocolViolation(f"a message of {length} bytes; the limit is {longest}")
    return length


def _time_for(size: int) -> float:
    """Seconds in which so many bytes must have come."""
    return _PATIENCE + size / _LEAST_RATE
