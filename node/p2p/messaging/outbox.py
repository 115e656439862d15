"""Messages to one peer, on the trio side: queued, varint-framed, in order, on one stream that is kept open.

Several messages go out in one write when they are small.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from blockstore.common import varint
from node.p2p.errors import NetworkError
from node.p2p.transport.connection import Stream

_TOGETHER = 256 * 1024  # bytes of small messages that share a write
_IDLE = 600.0  # seconds after which an unused stream of ours is closed


@dataclass(slots=True, eq=False)
class Outgoing:
    """One message on its way. `settled` is called once, with the protocol or with what went wrong."""

    peer: str
    protocols: tuple[str, ...]
    message: bytes
    settled: Callable[[str | NetworkError], None]
    withdrawn: bool = field(default=False)  # its sender has given up: not sent unless it is being sent


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
