"""The gateway's listener: GET, HEAD and OPTIONS of content, by path or by host (specs: HTTP gateways)."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from node.config.host_policy import read_hosts
from node.config.sections import GatewayConfig
from node.http.app_key import PARTS
from node.http.connection import ENTRANCE
from node.http.errors import client_closed_request
from node.http.gateway import server_timing
from node.http.gateway.access_log import LOG, log_request
from node.http.gateway.admission import ADMISSION, PROXIES, admit, limits_of
from node.http.gateway.formats.content import MISSES
from node.http.gateway.handler import CACHE, HOSTS, answer, is_site
from node.http.gateway.hosts.hosts import Hosts
from node.http.gateway.replies.response_cache import ResponseCache
from node.http.limits.addresses import TrustedProxies
from node.http.limits.admission import RequestAdmission
from node.http.log.access_log import AccessLog
from node.http.request_meter import METER, RequestMeter, metered
from node.http.routing import routes
from node.parts import Parts
from node.retrieval.negative_cache import NegativeCache

_ANY = r"{path:[\s\S]*}"  # names may hold line feeds, which "." does not match


def gateway_app(parts: Parts, log: AccessLog | None = None) -> web.Application:
    """All routes of the listener `gateway`; with a log, all requests are in it."""
    settings = parts.config.gateway
    app = web.Application(middlewares=_on_request(settings, log))
    app[PARTS] = parts
    app[METER] = RequestMeter()
    app[ADMISSION] = RequestAdmission(limits_of(settings))
    app[PROXIES] = TrustedProxies(settings.trusted_proxies)
    app[MISSES] = NegativeCache(settings.negative_ttl)
    app[CACHE] = ResponseCache(lambda: (parts.store.deletions, parts.denylist.version))
    policy = settings.policy()
    app[HOSTS] = Hosts(settings.subdomain_hosts, policy, read_hosts(settings.hosts, policy))
    if log is not None:
        app[LOG] = log
    if settings.server_timing:
        app.on_response_prepare.append(server_timing.add_header)
    if settings.routing:
        _add_routing(app)
    for path in (f"/ipfs/{_ANY}", f"/ipns/{_ANY}", f"/{_ANY}"):
        app.router.add_route("*", path, content, expect_handler=_at_once)
    return app


def _on_request(settings: GatewayConfig, log: AccessLog | None) -> list[Middleware]:
    """What is around each request where settings ask for it: it costs nothing where they do not."""
    return [
        *([log_request] if log else []),
        *([server_timing.measure_phases] if settings.server_timing else []),
    ]


async def _at_once(request: web.Request) -> None:
    """Whatever Expect says: no body is ever waited for, the answer comes now (RFC 9110 section 10.1.1)."""


def _add_routing(app: web.Application) -> None:
    routes.prepare(app)
    for method, path, handler in routes.ROUTES:
        app.router.add_route(method, path, _routed(handler))
        if method == "GET":
            app.router.add_route("HEAD", path, _routed(handler))


def _routed(handler: Handler) -> Handler:
    """That handler, but at the hosts of sites: there the path is one of the site's own."""

    async def answer_or_route(request: web.Request) -> web.StreamResponse:
        return await (answer(request) if await is_site(request) else routes.answered(request, handler))

    return partial(_let_in, handler=answer_or_route)


async def content(request: web.Request) -> web.StreamResponse:
    """One request, let in or sent away."""
    return await _let_in(request, answer)


async def _let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    door, transport = request.app[ENTRANCE].door, request.transport
    if transport is None:
        return client_closed_request()
    door.begin(transport)
    try:
        return await metered(request, partial(admit, handler=handler))
    finally:
        door.rest(transport)
