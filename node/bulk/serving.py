"""The serving half: a list of CIDs is answered by a stream of blocks, none of which is read too early.

Sizes are looked up first, a page at a time; then groups of blocks are read, one while the other is sent. A
member that does not read holds one group and the socket's buffer, until it is left.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager

from aiohttp import web

from bitswap.network import ServedBlockSource
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.grouped import grouped
from blockstore.common.throttle import Throttle
from blockstore.prefetch.one_ahead import one_ahead
from node.bulk.certificates import BadCertificate
from node.bulk.fair_turns import FairTurns, RequestTurns
from node.bulk.refusals import BulkRefusal, Refusals
from node.bulk.tls import peer_behind
from node.bulk.wire import (
    BLOCKS,
    HELLO,
    MAX_WANTS_BYTES,
    OFFERS,
    PROTOCOL,
    BadBulk,
    decode_wants,
    encode_blocks,
)
from node.traffic import Traffic

ANSWERS = 256
"""Requests that are open at once, and"""

PEER_ANSWERS = 8
"""of these, of one member."""

_PAGE = 512  # CIDs that are looked up at once
_GROUP_BYTES = 2 * 1024 * 1024  # read at once
_TURNS = 16  # groups that are read or being sent, of all requests together
_SEND_SECONDS = 60.0  # until a member that reads nothing is left


OfferHandler = Callable[[str, Sequence[CID]], None]
"""(member, what it is adding just now). Must not block."""


class BulkServer:
    """Answers HTTP of members. What it gives is what peers may have of this node."""

    def __init__(
        self,
        source: ServedBlockSource,
        refusals: Refusals,
        on_offer: OfferHandler,
        up: Throttle,
        traffic: Traffic,
    ) -> None:
        self._source = source
        self._up = up
        self._on_offer = on_offer
        self._refusals = refusals
        self._traffic = traffic
        self._answering: Counter[str] = Counter()
        self._turns = FairTurns(_TURNS)
        self.sent: Counter[str] = Counter()
        """Bytes of blocks, by member."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request of a member."""
        if (request.method, request.path) == ("GET", HELLO):
            return web.Response(text="pinfold\n")
        if request.method != "POST" or request.path not in (BLOCKS, OFFERS):
            return web.Response(status=404)
        try:
            peer = peer_behind(_transport(request))
            with self._slot(peer):
                body = await _body(request)
                self._traffic.received(PROTOCOL, len(body))
                cids = decode_wants(body)
                if request.path == BLOCKS:
                    return await self._blocks(request, peer, cids)
                self._on_offer(peer, cids)
                return web.Response()
        except (BadBulk, BadCertificate) as error:
            self._refusals.add(BulkRefusal.BAD_REQUEST, str(error))
            return web.Response(status=400, text=f"{error}\n")
        except _Busy as error:
            self._refusals.add(BulkRefusal.TOO_MANY, str(error))
            return web.Response(status=429, text=f"{error}\n")
        except TimeoutError:  # it sends or reads nothing
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=408)

    @contextmanager
    def _slot(self, peer: str) -> Iterator[None]:
        if self._answering.total() >= ANSWERS or self._answering[peer] >= PEER_ANSWERS:
            raise _Busy(f"{self._answering[peer]} requests of {peer} are being answered")
        self._answering[peer] += 1
        try:
            yield
        finally:
            self._answering[peer] -= 1

    async def _blocks(self, request: web.BaseRequest, peer: str, cids: Sequence[CID]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        with self._turns.of(peer) as turns:
            async with aclosing(one_ahead(self._groups(cids, turns))) as groups:
                async for group in groups:
                    for piece in encode_blocks(group):
                        await self._send(response, piece)
                        self._traffic.sent(PROTOCOL, len(piece))
                    turns.give()
                    self.sent[peer] += sum(len(block.data) for block in group if block)
        await response.write_eof()
        return response

    async def _send(self, response: web.StreamResponse, piece: bytes) -> None:
        """As fast as the limit lets it. Raises TimeoutError where the member reads nothing."""
        view, start = memoryview(piece), 0
        async for size in self._up.slices(len(piece)):
            async with asyncio.timeout(_SEND_SECONDS):
                await response.write(view[start : start + size] if size < len(piece) else piece)
            start += size

    async def _groups(self, cids: Sequence[CID], turns: RequestTurns) -> AsyncGenerator[list[Block | None]]:
        """Each when it is this request's turn, which is to be given back when the group is sent."""
        for start in range(0, len(cids), _PAGE):
            page = cids[start : start + _PAGE]
            stats = await self._source.stat(page)
            sizes = [(cid, stat.size if stat else 0) for cid, stat in zip(page, stats, strict=True)]
            for group in grouped(sizes, _GROUP_BYTES):
                await turns.take()
                yield await self._source.get_many(group)


class _Busy(Exception):
    """As many requests are being answered as may be."""


def _transport(request: web.BaseRequest) -> asyncio.Transport:
    if request.transport is None:
        raise BadCertificate("the connection is gone")
    return request.transport


async def _body(request: web.BaseRequest) -> bytes:
    """Raises BadBulk above MAX_WANTS_BYTES."""
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(_SEND_SECONDS):
        async for part in request.content.iter_any():
            size += len(part)
            if size > MAX_WANTS_BYTES:
                raise BadBulk(f"a request of more than {MAX_WANTS_BYTES} bytes")
            parts.append(part)
    return b"".join(parts)
