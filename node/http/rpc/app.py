"""Kubo's RPC listener: POST /api/v0/<command>?arg=…, protected against web pages of other origins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from aiohttp import web
from multidict import CIMultiDict

from node.access.rights import Right
from node.http.admin import origins
from node.http.admin.auditing import audited
from node.http.admin.browser_headers import nothing_runs
from node.http.admin.callers import ALWAYS, CALLERS, Callers
from node.http.app_key import PARTS
from node.http.connection import mark_busy
from node.http.errors import EXPECTED, BadRequest, client_closed_request, text_of
from node.http.go import gojson
from node.http.go.query_values import check_repeated
from node.http.request_meter import METER, RequestMeter, metered
from node.http.rpc import answers, bitswap, content, dag, keys, names, node, provide, routing, swarm
from node.http.rpc.answers import HEADERS
from node.http.rpc.options import OPTIONS
from node.parts import Parts

Command = Callable[[web.Request], Awaitable[web.StreamResponse]]

COMMANDS: dict[str, Command] = {
    "bitswap/ledger": bitswap.ledger,
    "bitswap/stat": bitswap.stat,
    "bitswap/wantlist": bitswap.wantlist,
    "block/get": content.block_get,
    "block/put": content.block_put,
    "block/stat": content.block_stat,
    "cat": content.cat,
    "dag/export": dag.export,
    "dag/import": dag.import_,
    "get": content.get,
    "id": node.identity,
    "key/gen": keys.gen,
    "key/import": keys.import_,
    "key/list": keys.list_,
    "key/ls": keys.list_,
    "key/rename": keys.rename,
    "key/rm": keys.remove,
    "ls": content.ls,
    "name/get": names.get,
    "name/publish": names.publish,
    "name/put": names.put,
    "name/resolve": names.resolve,
    "ping": swarm.ping,
    "repo/gc": node.repo_gc,
    "repo/stat": node.repo_stat,
    "provide/stat": provide.stat,
    "routing/findpeer": routing.find_peer,
    "routing/findprovs": routing.find_providers,
    "routing/get": routing.get,
    "routing/provide": routing.provide,
    "routing/put": routing.put,
    "swarm/addrs": swarm.addresses,
    "swarm/addrs/listen": swarm.own_addresses,
    "swarm/addrs/local": swarm.own_addresses,
    "swarm/connect": swarm.connect,
    "swarm/disconnect": swarm.disconnect,
    "swarm/peering/add": swarm.peering_add,
    "swarm/peering/ls": swarm.peering_list,
    "swarm/peering/rm": swarm.peering_remove,
    "swarm/peers": swarm.peers,
    "version": node.version,
}
_READS = frozenset(
    (
        *(
            "bitswap/ledger",
            "bitswap/stat",
            "bitswap/wantlist",
            "block/get",
            "block/stat",
            "cat",
            "dag/export",
        ),
        *(
            "get",
            "id",
            "key/list",
            "key/ls",
            "ls",
            "name/get",
            "name/resolve",
            "ping",
            "provide/stat",
            "repo/stat",
        ),
        *("routing/findpeer", "routing/findprovs", "routing/get", "swarm/addrs", "swarm/addrs/listen"),
        *("swarm/addrs/local", "swarm/peering/ls", "swarm/peers", "version"),
    )
)
_PINS = frozenset(("block/put", "dag/import"))


def rpc_app(parts: Parts, *, local: bool = True) -> web.Application:
    """All routes of the listener `rpc`; `local`: only this machine reaches it."""
    app = web.Application(middlewares=[metered, mark_busy])
    rpc = parts.config.rpc
    app[CALLERS] = Callers(parts.credentials, rpc.host, always=rpc.auth == ALWAYS, local=local)
    app.on_response_prepare.append(nothing_runs)
    app[PARTS] = parts
    app[METER] = RequestMeter()
    app.router.add_route("*", "/{path:.*}", call)
    return app


async def call(request: web.Request) -> web.StreamResponse:
    """Run the command; one that changes something is in the audit log."""
    name = request.path.removeprefix("/api/v0/").rstrip("/")
    needed = _needed(name)
    if needed is Right.READ or request.method == "OPTIONS":
        return await _answer(request, name, needed)
    return await audited(request, request.app[PARTS].audit, "rpc", lambda: _answer(request, name, needed))


def _needed(name: str) -> Right:
    """What a command asks for: a new one asks for more than reading by itself."""
    if name in _READS or name not in COMMANDS:
        return Right.READ
    return Right.PIN if name in _PINS else Right.UPKEEP


async def _answer(request: web.Request, name: str, needed: Right) -> web.StreamResponse:
    """Errors that come before any output have a status of their own."""
    if refused := request.app[CALLERS].refusal(request, needed):
        return _text(refused.status, refused.text, refused.headers)
    command = COMMANDS.get(name)
    if command is None or not request.path.startswith("/api/v0/"):
        return _text(404, "404 page not found")
    if not origins.allowed(request.headers, origins.own_port(request)):
        return _text(403, origins.FORBIDDEN)
    if request.method == "OPTIONS":
        return web.Response(status=204, headers={**HEADERS, "Allow": "OPTIONS, POST"})
    if request.method != "POST":
        return _text(405, "405 - Method Not Allowed", {"Allow": "OPTIONS, POST"})
    try:
        check_repeated(request.query, "arg")
        OPTIONS[name].check(name, request.query)
        async with asyncio.timeout(answers.time_limit(request)) as request[answers.LIMIT]:
            return await command(request)
    except ConnectionError:
        return client_closed_request()
    except BadRequest as error:
        return _text(400, text_of(error))
    except EXPECTED as error:
        body = gojson.encode({"Message": text_of(error), "Code": 0, "Type": "error"})
        return web.Response(status=500, body=body, headers={**HEADERS, "Content-Type": "application/json"})


def _text(status: int, text: str, more: Mapping[str, str] = MappingProxyType({})) -> web.Response:
    headers = CIMultiDict({"Content-Type": "text/plain; charset=utf-8"})
    headers.extend(more)
    return web.Response(status=status, body=f"{text}\n".encode(errors="replace"), headers=headers)
