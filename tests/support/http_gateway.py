"""A trustless gateway in this process, over real sockets, that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from blockstore.block import Block
from node.http.listener import ListenerSettings, listen

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpGateway:
    """Has `blocks`; with a `behaviour` it answers by that instead. Knows what it was asked."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self.blocks = {str(block.cid.as_v1()): block.data for block in blocks}
        self.behaviour: Behaviour | None = None
        self.url = ""
        self.requests: list[web.Request] = []
        self.running = 0
        self.most_running = 0
        self.asked = asyncio.Event()
        self.aborted = asyncio.Event()
        self.aborted_at = 0.0

    @property
    def asked_for(self) -> list[str]:
        return [request.match_info["cid"] for request in self.requests]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.asked.set()
        try:
            return await (self.behaviour or self.honest)(request)
        except asyncio.CancelledError:
            self.aborted_at = asyncio.get_running_loop().time()
            self.aborted.set()
            raise
        finally:
            self.running -= 1

    async def honest(self, request: web.Request) -> web.StreamResponse:
        data = self.blocks.get(request.match_info["cid"])
        return web.Response(status=404, text="not here") if data is None else web.Response(body=data)


@asynccontextmanager
async def http_gateway(blocks: Iterable[Block] = ()) -> AsyncIterator[HttpGateway]:
    """One that listens for the length of the block."""
    gateway = HttpGateway(blocks)
    app = web.Application()
    app.router.add_get("/ipfs/{cid}", gateway.answer)
    app.router.add_get("/elsewhere/{cid}", gateway.honest)
    async with listen(app, ListenerSettings("gateway", "127.0.0.1", 0)) as listener:
        gateway.url = listener.url
        yield gateway


async def silence(_request: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError
