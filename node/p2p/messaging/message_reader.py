"""Messages of one peer, on the trio side: an allowance of bytes is taken before a message is read.

It is given back when the handler is done: a peer that sends faster than its messages are handled waits, and
one that lies about a length takes no memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from blockstore.common.throttle import Throttle
from node.p2p.errors import ConnectionLost, ProtocolViolation
from node.p2p.transport.connection import Stream
from node.p2p.transport.negotiation import read_length
from node.p2p.transport.yamux.frames import INITIAL_WINDOW

ALLOWANCE = 4 * 1024 * 1024  # bytes of one peer's messages that may wait for one handler
_PATIENCE = 10.0  # seconds for a message, and as many more
_MIN_RATE = 32 * 1024  # as this many bytes a second let it take
_TURN = 60.0  # seconds in which a long message gets its turn


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
            return  # trio died since, and every task that waited here with it
        self._used -= size
        self._freed.set()


async def read_messages(
    stream: Stream,
    longest: int,
    allowance: Allowance,
    deliver: Callable[[bytes], None],
    down: Throttle | None = None,
) -> None:
    """Hand over each message until the peer ends the stream. Raises what `read_message` raises."""
    while (message := await read_message(stream, longest, allowance, down)) is not None:
        deliver(message)


async def read_message(
    stream: Stream, longest: int, allowance: Allowance, down: Throttle | None = None
) -> bytes | None:
    """The next message, its bytes taken of the allowance; None when the peer has ended the stream.

    `down` is what its bytes pass before they are read.

    Raises ProtocolViolation for a message above `longest` bytes, StreamLost when the stream ends inside one,
    ConnectionLost when one does not come to its end in time.
    """
    first = await stream.pipe.read(1)
    if not first:
        return None
    with trio.CancelScope() as patience:
        return await _read(stream, first[0], longest, allowance, down, patience)
    raise ConnectionLost("a message was begun and did not come to its end in time")


async def _read(
    stream: Stream,
    first: int,
    longest: int,
    allowance: Allowance,
    down: Throttle | None,
    patience: trio.CancelScope,
) -> bytes:
    """The rest of a message. `patience` is with the peer, not with our own handlers."""
    patience.deadline = trio.current_time() + _PATIENCE
    length = await _length(stream, first, longest)
    # What may come unasked is waited for first: one that stalls there holds no allowance.
    at_first = min(length, INITIAL_WINDOW)
    patience.deadline = trio.current_time() + _time_for(at_first)
    await stream.pipe.wait_for(at_first)
    if down is not None:
        patience.deadline = math.inf
        await _let_pass(down, length)
    patience.deadline = trio.current_time() + _TURN if length > at_first else math.inf
    await allowance.take(length)
    try:
        patience.deadline = trio.current_time() + _time_for(length)
        return await stream.pipe.read_exactly(length)
    except BaseException:
        allowance.give(length)
        raise


async def _let_pass(down: Throttle, size: int) -> None:
    """`Throttle.let_pass`, on trio."""
    while size:
        part, wait = down.take(size)
        size -= part
        if wait:
            await trio.sleep(wait)


async def _length(stream: Stream, first: int, longest: int) -> int:
    length = first
    if length & 0x80:
        length = (length & 0x7F) + (await read_length(stream.pipe, longest >> 7) << 7)
    if length > longest:
        raise ProtocolViolation(f"a message of {length} bytes; the limit is {longest}")
    return length


def _time_for(size: int) -> float:
    """Seconds in which so many bytes must have come."""
    return _PATIENCE + size / _MIN_RATE
