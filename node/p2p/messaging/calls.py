"""Request and response between two peers, as messages: /pinfold/call/1.0.0.

A frame is a kind (one byte), the caller's number for the call (varint), and for a request the method's
name (varint length, UTF-8); the rest is the payload. Requests and responses of both sides share the
kept-open message streams, so a call costs one message each way. Each side bounds the calls in flight: a
caller waits, and one that does not is answered "busy".
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from weakref import WeakValueDictionary

from bitswap.network import PeerUnreachable
from blockstore.common import varint
from blockstore.common.guard import Guard
from blockstore.errors import BlockstoreError
from cluster.errors import ClusterError
from cluster.ports import MAX_CALL, CallFailed, CallHandler, PeerOffline, check_request, claim, no_method
from node.errors import NodeError

PROTOCOL = "/pinfold/call/1.0.0"
MAX_FRAME = MAX_CALL + 1024  # with its head
_MAX_METHOD = 256
_MAX_REASON = 4096
_CALLS_OUT = 64  # a caller's own limit a peer
_CALLS_IN = 128  # what is served of one peer at once
_BYTES_IN = 16 * 1024 * 1024  # and how large its requests and their answers may be together
_SEND_SECONDS = 60.0  # for an answer to be taken by the transport
_REQUEST, _RESPONSE, _FAILURE = range(3)
_EXPECTED = (ClusterError, NodeError, BlockstoreError, CallFailed, PeerOffline, OSError)  # of handlers
_log = logging.getLogger(__name__)

Send = Callable[[str, bytes], Awaitable[object]]
Spawn = Callable[[Coroutine[object, object, None]], object]
MayCall = Callable[[str, str], bool]
"""(peer, method) -> whether it is answered."""


@dataclass(slots=True)
class _Load:
    """What is being served of one peer: calls, and bytes of their requests and answers."""

    calls: int = 0
    bytes: int = 0


class Calls:
    """Calls of one network, both ways."""

    def __init__(self, send: Send, spawn: Spawn, guard: Guard, may_call: MayCall) -> None:
        self._send = send
        self._spawn = spawn
        self._guard = guard
        self._may_call = may_call
        self._numbers = itertools.count(1)
        self._waiting: dict[str, dict[int, asyncio.Future[bytes]]] = defaultdict(dict)
        self._limits: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._handlers: dict[str, CallHandler] = {}
        self._serving: dict[str, _Load] = {}

    def __repr__(self) -> str:
        waiting = sum(map(len, self._waiting.values()))
        return f"<Calls: {self.serving} are being answered, {waiting} wait for an answer>"

    @property
    def serving(self) -> int:
        """Calls of other peers that are being answered now."""
        return sum(load.calls for load in self._serving.values())

    def serve(self, method: str, handler: CallHandler) -> None:
        claim(method, self._handlers)
        self._handlers[method] = handler

    async def call(self, peer: str, method: str, request: bytes, timeout: float) -> bytes:
        """Raises CallFailed, PeerOffline; ValueError for a request above 4 MiB."""
        check_request(method, request)
        try:
            async with asyncio.timeout(timeout), self._limits.setdefault(peer, asyncio.Semaphore(_CALLS_OUT)):
                return await self._call(peer, method, request)
        except TimeoutError:
            raise PeerOffline(f"{peer} did not answer {method} within {timeout:g} s") from None
        except PeerUnreachable as error:
            raise PeerOffline(f"{method}: {error}") from error

    async def _call(self, peer: str, method: str, request: bytes) -> bytes:
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        waiting = self._waiting[peer]
        waiting[number] = answer
        name = method.encode()
        try:
            await self._send(peer, _frame(_REQUEST, number, varint.encode(len(name)) + name + request))
            return bytes(await answer)
        finally:
            waiting.pop(number, None)
            answer.cancel()  # sending failed, perhaps after the news that the peer is gone, unread then
            if answer.done() and not answer.cancelled():
                answer.exception()
            if not waiting and self._waiting.get(peer) is waiting:
                del self._waiting[peer]

    async def on_message(self, peer: str, _protocol: str, message: bytes) -> None:
        """A frame from that peer. A damaged one is dropped: the call it belonged to times out."""
        try:
            kind, (number, offset) = message[0], varint.decode(message, 1)
            if kind == _REQUEST:
                length, start = varint.decode(message, offset)
                self._start(
                    peer, number, message[start : start + min(length, _MAX_METHOD)], message[start + length :]
                )
            elif kind in (_RESPONSE, _FAILURE):
                self._settle(peer, number, kind, message[offset:])
        except (ValueError, IndexError) as error:
            _log.debug("a damaged call frame from %s: %r", peer, error)

    def peer_changed(self, peer: str, connected: bool) -> None:
        """Nothing more will come from a peer that has gone."""
        if connected:
            return
        for answer in tuple(self._waiting.pop(peer, {}).values()):
            if not answer.done():
                answer.set_exception(PeerOffline(f"{peer} disconnected before it answered"))

    def _settle(self, peer: str, number: int, kind: int, payload: bytes) -> None:
        answer = self._waiting[peer].get(number) if peer in self._waiting else None
        if answer is None or answer.done():
            return  # timed out, cancelled, or never asked
        if kind == _RESPONSE:
            answer.set_result(payload)
        else:
            answer.set_exception(CallFailed(payload[:_MAX_REASON].decode(errors="replace")))

    def _start(self, peer: str, number: int, method: bytes, request: bytes) -> None:
        name = method.decode()
        load = self._serving.setdefault(peer, _Load())
        busy = load.calls >= _CALLS_IN or (load.calls > 0 and load.bytes + len(request) > _BYTES_IN)
        load.calls += 1
        load.bytes += len(request)
        self._spawn(self._serve(peer, load, number, name, request, busy))

    async def _serve(
        self, peer: str, load: _Load, number: int, method: str, request: bytes, busy: bool
    ) -> None:
        held = len(request)
        try:
            frame = await self._answer(peer, number, method, request, busy)
            if load.bytes + len(frame) > _BYTES_IN + MAX_FRAME:
                frame = _failure(number, "busy: you have not read the answers before this one")
            load.bytes += len(frame)
            held += len(frame)
            async with asyncio.timeout(_SEND_SECONDS):
                await self._send(peer, frame)
        except (PeerUnreachable, TimeoutError) as error:
            _log.debug("the answer to %s was lost: %r", method, error)
        finally:
            load.calls -= 1
            load.bytes -= held
            if not load.calls:
                self._serving.pop(peer, None)

    async def _answer(self, peer: str, number: int, method: str, request: bytes, busy: bool) -> bytes:
        handler = self._handlers.get(method)
        if not self._may_call(peer, method):
            return _failure(number, f'"{method}" is for members of this cluster; {peer} is not one')
        if busy or handler is None:
            reason = f"busy: {_CALLS_IN} calls are being served" if busy else no_method(method)
            return _failure(number, reason)
        frame, reason = b"", f"{method} failed"
        with self._guard.around(f"the call {method}", peer, *_EXPECTED):
            try:
                frame = self._response(number, method, await handler(peer, request))
            except Exception as error:  # the contract of CallHandler: the caller gets the text
                reason = str(error) or type(error).__name__
                raise
        return frame or _failure(number, reason)

    def _response(self, number: int, method: str, response: bytes) -> bytes:
        if len(response) <= MAX_CALL:
            return _frame(_RESPONSE, number, response)
        _log.warning("%s: a response of %d bytes is too large", method, len(response))
        return _failure(number, f"the response has {len(response)} bytes; the limit is {MAX_CALL}")


def _frame(kind: int, number: int, rest: bytes) -> bytes:
    return bytes([kind]) + varint.encode(number) + rest


def _failure(number: int, reason: str) -> bytes:
    return _frame(_FAILURE, number, reason.encode()[:_MAX_REASON])
