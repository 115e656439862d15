"""Streams that peers open: a protocol is agreed on, and its handler has the stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from node.p2p.admission.gate import Gate
from node.p2p.admission.stream_limit import Streams
from node.p2p.guarded_task import within
from node.p2p.transport import negotiation
from node.p2p.transport.connection import Connection, Pipe, Stream

_NEGOTIATION_TIMEOUT = 10.0  # seconds until a stream has a protocol

StreamHandler = Callable[[Stream], Awaitable[None]]


class StreamServer:
    """Protocols and their handlers. `linger`: seconds a stream stays for the peer's own end of it."""

    def __init__(self, gate: Gate, linger: float) -> None:
        self._gate = gate
        self._linger = linger
        self._handlers: dict[str, StreamHandler] = {}
        self._ungated: set[str] = set()
        self._streams = Streams()

    @property
    def protocols(self) -> Collection[str]:
        return self._handlers.keys()

    def add(self, protocols: Iterable[str], handler: StreamHandler, *, to_all: bool = False) -> None:
        """Serve these from now on; `to_all`: whatever the gate says of the peer."""
        added = dict.fromkeys(protocols, handler)
        self._handlers.update(added)
        if to_all:
            self._ungated.update(added)

    async def serve(self, connection: Connection, pipe: Pipe) -> None:
        """The life of one stream; it is reset when anything goes wrong. Raises what does."""
        try:
            async with within(_NEGOTIATION_TIMEOUT, "agreeing on a protocol"):
                protocol = await negotiation.answer(pipe, self._offered(connection.peer))
            with self._streams.opened(connection.peer, protocol, pipe):
                await self._handlers[protocol](Stream(connection.peer, protocol, pipe, connection))
                await self._end(pipe)
        except BaseException:
            await pipe.reset()
            raise

    async def _end(self, pipe: Pipe) -> None:
        await pipe.close()
        async with within(self._linger, "the end of a stream"):
            while await pipe.read():  # not reset: that could overtake what was just written
                continue

    def _offered(self, peer: str) -> Mapping[str, StreamHandler] | Collection[str]:
        return self._handlers if self._gate.speaks(peer) else self._ungated
