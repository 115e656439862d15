"""Requests that are answered on their own stream, each message behind its length; the trio side.

Several messages may follow each other on one stream, as in the DHT (libp2p specs: kad-dht, "RPC messages").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from blockstore.common import varint
from node.p2p.errors import ProtocolViolation
from node.p2p.guarded_task import within
from node.p2p.messaging.message_reader import Allowance, read_message
from node.p2p.swarm.host import Host
from node.p2p.transport.connection import Stream
from node.p2p.transport.negotiation import read_length

_ANSWER_SECONDS = 10.0  # for an answer, and for one message to be taken
_IDLE_SECONDS = 60.0  # without a request, after which a stream of a peer is closed
_ALLOWANCE = 1 << 20  # bytes of one stream's requests

RequestHandler = Callable[[str, str, bytes], bytes | None]
"""(peer, protocol, request) -> the answer; empty: it takes none; None: the stream ends. Must not block."""


@dataclass(frozen=True, slots=True, eq=False)
class RequestService:
    """`longest`: bytes of one request."""

    protocols: tuple[str, ...]
    handler: RequestHandler
    longest: int


class PendingAnswer:
    """What the trio side waits for while the asyncio side answers one request."""

    def __init__(self) -> None:
        self._given = trio.Event()
        self._run = trio.lowlevel.current_trio_token()
        self._answer: bytes | None = None

    def give(self, answer: bytes | None) -> None:
        """Called on the trio side, of this run or of a later one."""
        if self._run is trio.lowlevel.current_trio_token():
            self._answer = answer
            self._given.set()

    async def wait(self) -> bytes | None:
        """Raises ConnectionLost."""
        async with within(_ANSWER_SECONDS, "answering a request"):
            await self._given.wait()
        return self._answer


Answering = Callable[[RequestService, str, str, bytes, PendingAnswer], object]
"""(service, peer, protocol, request, where the answer goes)."""


class RequestStreams:
    """For one host, and gone with it."""

    def __init__(self, host: Host, answering: Answering) -> None:
        self._host = host
        self._answering = answering

    async def ask(self, peer: str, protocol: str, request: bytes, longest: int) -> bytes:
        """The answer to one request, of at most `longest` bytes. Raises NetworkError."""
        stream = await self._host.open_stream(peer, [protocol])
        try:
            async with within(_ANSWER_SECONDS, "an answer"):
                await stream.pipe.write(_framed([request]))
                answer = await stream.pipe.read_exactly(await read_length(stream.pipe, longest))
        except BaseException:
            await stream.pipe.reset()
            raise
        await stream.pipe.close()
        return answer

    async def tell(self, peer: str, protocol: str, messages: Sequence[bytes]) -> None:
        """Send messages that take no answer. Raises NetworkError."""
        stream = await self._host.open_stream(peer, [protocol])
        try:
            for message in messages:
                async with within(_ANSWER_SECONDS, "sending a message"):
                    await stream.pipe.write(_framed([message]))
        except BaseException:
            await stream.pipe.reset()
            raise
        await stream.pipe.close()

    def serve(self, service: RequestService) -> None:
        """Answer what comes on its protocols."""
        self._host.serve(service.protocols, partial(self._serve, service))

    async def _serve(self, service: RequestService, stream: Stream) -> None:
        allowance = Allowance(_ALLOWANCE)
        while True:
            async with within(_IDLE_SECONDS, "a request"):
                request = await read_message(stream, service.longest, allowance)
            if request is None:
                return
            allowance.give(len(request))
            await self._answer(service, stream, request)

    async def _answer(self, service: RequestService, stream: Stream, request: bytes) -> None:
        pending = PendingAnswer()
        self._answering(service, stream.peer, stream.protocol, request, pending)
        answer = await pending.wait()
        if answer is None:
            raise ProtocolViolation(f"a request on {stream.protocol} that cannot be answered")
        if answer:
            async with within(_ANSWER_SECONDS, "an answer to be taken"):
                await stream.pipe.write(_framed([answer]))


def _framed(messages: Sequence[bytes]) -> bytes:
    return b"".join(part for one in messages for part in (varint.encode(len(one)), one))
