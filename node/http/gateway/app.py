"""The gateway's listener: GET, HEAD and OPTIONS below /ipfs/, nothing else (spec: path gateway)."""

from __future__ import annotations

from aiohttp import web

from blockstore.errors import BlockNotFound
from node.http.app import PARTS
from node.http.errors import EXPECTED, status_of, text_of
from node.http.gateway import headers as make
from node.http.gateway.negotiation import NotAcceptable, negotiate
from node.http.gateway.ranges import BadRange, Unsatisfiable
from node.http.gateway.representation import HOT, respond
from node.http.gateway.request import RequestPath, parse_path
from node.http.server import nobody
from node.parts import Parts
from node.retrieval.hot import HotBlocks

_EXPECTED: tuple[type[Exception], ...] = (BadRange, NotAcceptable, Unsatisfiable, *EXPECTED)


def gateway_app(parts: Parts) -> web.Application:
    """All routes of the listener `gateway`."""
    app = web.Application()
    app[PARTS] = parts
    app[HOT] = HotBlocks(parts.store)
    app.router.add_route("*", "/ipfs/{path:.*}", content)
    app.router.add_route("*", "/{path:.*}", elsewhere)
    return app


async def content(request: web.Request) -> web.StreamResponse:
    """One request for content, errors as plain text."""
    if request.method not in ("GET", "HEAD"):
        return _without_content(request)
    try:
        return await _content(request)
    except ConnectionError:
        return nobody()
    except _EXPECTED as error:
        return _refused(request, error)


async def elsewhere(request: web.Request) -> web.StreamResponse:
    """No content: say what this is, and what it is not."""
    if request.method not in ("GET", "HEAD"):
        return _without_content(request)
    if request.path.startswith("/ipns/"):
        return _text(request, 501, "IPNS names are not resolved by this gateway: ask for /ipfs/<cid>")
    if request.path == "/":
        return _text(request, 200, "Pinfold gateway: content is at /ipfs/<cid>")
    return _text(request, 404, "404 page not found: content is at /ipfs/<cid>")


async def _content(request: web.Request) -> web.StreamResponse:
    path = parse_path(request.raw_path.partition("?")[0])
    if redirect := _fixed(request, path):
        return redirect
    asked = negotiate(request.query if request.query_string else {}, request.headers.get("Accept"))
    return await respond(request, path, asked)


def _fixed(request: web.Request, path: RequestPath) -> web.Response | None:
    """A service worker must not take over the whole gateway from a content root."""
    if request.headers.get("Service-Worker") == "script" and not path.content.segments:
        return _text(request, 400, "navigator.serviceWorker: registration is not allowed for this scope")
    return None


def _without_content(request: web.Request) -> web.Response:
    status = 200 if request.method == "OPTIONS" else 405
    return web.Response(status=status, headers={**make.cors(request), "Allow": make.METHODS})


def _refused(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, BadRange):
        return _text(request, 400, str(error))
    if isinstance(error, NotAcceptable):
        return _text(request, 406, str(error))
    if isinstance(error, Unsatisfiable):
        response = _text(request, 416, str(error))
        response.headers["Content-Range"] = f"bytes */{error.size}"
        return response
    if isinstance(error, TimeoutError):
        return _text(request, 504, _diagnosis(request.app[PARTS]), **{"Retry-After": "60"})
    if isinstance(error, BlockNotFound):
        return _text(request, 404, text_of(error))
    return _text(request, status_of(error), text_of(error))


def _diagnosis(parts: Parts) -> str:
    swarm = f"{len(parts.swarm.peers())} peers of the open network" if parts.swarm else "no open network"
    members = len(parts.cluster.id().connected)
    return (
        "Unable to retrieve content within timeout period: "
        f"no answer in {parts.config.gateway.first_byte_timeout:g} s; connected to {members} other members "
        f"of the cluster and to {swarm}"
    )


def _text(request: web.Request, status: int, text: str, **more: str) -> web.Response:
    headers = {**make.cors(request), "Content-Type": "text/plain; charset=utf-8", **more}
    return web.Response(status=status, body=f"{text}\n".encode(errors="replace"), headers=headers)
