"""A delegated router in this process, over real sockets: it knows a world, or answers as a test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from blockstore.cid import CID
from node.http.listener import ListenerSettings, listen
from node.names.name import IpnsName
from node.routing.router import Provider

GONE = "http://127.0.0.1:9"
"""No program listens there."""

RECORD = "application/vnd.ipfs.ipns-record"
Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpRouter:
    """With a `behaviour` it answers by that. `records` are those it has, and is given."""

    def __init__(self, world: Mapping[CID, Sequence[Provider]]) -> None:
        self.world = {cid.multihash: held for cid, held in world.items()}
        self.records: dict[str, bytes] = {}
        self.behaviour: Behaviour | None = None
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.behaviour is not None:
            return await self.behaviour(request)
        kind, name = request.match_info["kind"], request.match_info["name"]
        if kind == "ipns":
            return await self._record(request, name)
        if kind == "providers":
            return _list("Providers", self.world.get(CID.parse(name).multihash, ()))
        peer = IpnsName.parse(name).peer_id
        known = {one.peer: one for held in self.world.values() for one in held}
        return _list("Peers", [known[peer]] if peer in known else [])

    async def _record(self, request: web.Request, name: str) -> web.Response:
        if request.method == "PUT":
            self.records[name] = await request.read()
        if name not in self.records:
            return web.Response(text="not found")
        return web.Response(body=self.records[name], content_type=RECORD)


def record(provider: Provider) -> dict[str, object]:
    """As it is written."""
    return {
        "Schema": "peer",
        "ID": provider.peer,
        "Addrs": provider.addresses,
        "Protocols": provider.protocols,
    }


def lines(*values: object) -> web.Response:
    """NDJSON."""
    body = "".join(json.dumps(value) + "\n" for value in values)
    return web.Response(text=body, content_type="application/x-ndjson")


def _list(name: str, held: Sequence[Provider]) -> web.Response:
    return web.Response(text=json.dumps({name: [*map(record, held)]}), content_type="application/json")


@asynccontextmanager
async def http_router(world: Mapping[CID, Sequence[Provider]] | None = None) -> AsyncIterator[HttpRouter]:
    """One that listens for the length of the block."""
    router = HttpRouter(world or {})
    app = web.Application()
    app.router.add_route("*", "/routing/v1/{kind}/{name}", router.answer)
    async with listen(app, ListenerSettings("router", "127.0.0.1", 0)) as listener:
        router.url = listener.url
        yield router
