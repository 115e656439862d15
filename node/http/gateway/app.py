"""The gateway's listener: GET, HEAD and OPTIONS of content, by path or by host (specs: HTTP gateways)."""

from __future__ import annotations

from math import ceil

from aiohttp import web
from aiohttp.typedefs import Middleware

from blockstore.errors import BlockNotFound, NoLink
from node.config import GatewayConfig
from node.denylist.errors import ContentBlocked
from node.http.access_log import AccessLog
from node.http.app import PARTS
from node.http.errors import EXPECTED, status_of, text_of
from node.http.gateway import pinned, rewriting, timing, trustless
from node.http.gateway.admitting import ADMISSION, PROXIES, admitted, limits_of
from node.http.gateway.formats import ipns_record
from node.http.gateway.formats.content import MISSES
from node.http.gateway.formats.negotiation import Asked, NotAcceptable, negotiate
from node.http.gateway.hosts.hosts import Hosts, PathHost
from node.http.gateway.hosts.mount import Mount
from node.http.gateway.hosts.subdomains import mounted
from node.http.gateway.hosts.target import Moved, Target, authority, target_of
from node.http.gateway.logged import LOG, logged
from node.http.gateway.paths import ipns
from node.http.gateway.paths.elsewhere import NotHere, moved
from node.http.gateway.paths.redirects import BadRedirects
from node.http.gateway.paths.request import RequestPath, content_names, content_text, parse_path
from node.http.gateway.replies import headers as make
from node.http.gateway.replies import messages
from node.http.gateway.replies.caps import RangeOfTooLarge, TooLarge
from node.http.gateway.replies.ranges import BadRange, Unsatisfiable
from node.http.gateway.replies.response_cache import ResponseCache
from node.http.gateway.representation import respond
from node.http.gateway.welcome import welcome
from node.http.limits.addresses import TrustedProxies
from node.http.limits.admission import Admission
from node.http.server import nobody
from node.names.errors import NameNotFound
from node.parts import Parts
from node.policy import read_hosts
from node.retrieval.misses import Misses, RecentlyMissing

_CACHE = web.AppKey("cache", ResponseCache)
_HOSTS = web.AppKey("hosts", Hosts)
_OWN: tuple[tuple[type[Exception], int], ...] = (
    (BadRange, 400),
    (pinned.NotPinnedHere, 403),
    (NotHere, 404),
    (NotAcceptable, 406),
    (TooLarge, 410),
    (Unsatisfiable, 416),
    (RangeOfTooLarge, 501),
    (BadRedirects, 500),
)
_LATER = "60"  # seconds
_ANY = r"{path:[\s\S]*}"  # names may hold line feeds, which "." does not match
_EXPECTED: tuple[type[Exception], ...] = (*(kind for kind, _ in _OWN), *EXPECTED)


def gateway_app(parts: Parts, log: AccessLog | None = None) -> web.Application:
    """All routes of the listener `gateway`; with a log, all requests are in it."""
    settings = parts.config.gateway
    app = web.Application(middlewares=_on_request(settings, log))
    app[PARTS] = parts
    app[ADMISSION] = Admission(limits_of(settings))
    app[PROXIES] = TrustedProxies(settings.trusted_proxies)
    app[MISSES] = Misses(settings.negative_ttl)
    app[_CACHE] = ResponseCache(lambda: (parts.store.deletions, parts.denylist.version))
    policy = settings.policy()
    app[_HOSTS] = Hosts(settings.subdomain_hosts, policy, read_hosts(settings.hosts, policy))
    if log is not None:
        app[LOG] = log
    if settings.server_timing:
        app.on_response_prepare.append(timing.tell)
    for path in (f"/ipfs/{_ANY}", f"/ipns/{_ANY}", f"/{_ANY}"):
        app.router.add_route("*", path, content, expect_handler=_at_once)
    return app


def _on_request(settings: GatewayConfig, log: AccessLog | None) -> list[Middleware]:
    """What is around each request where settings ask for it: it costs nothing where they do not."""
    return [*([logged] if log else []), *([timing.timed] if settings.server_timing else [])]


async def _at_once(request: web.Request) -> None:
    """Whatever Expect says: no body is ever waited for, the answer comes now (RFC 9110 section 10.1.1)."""


async def content(request: web.Request) -> web.StreamResponse:
    """One request, let in or sent away."""
    return await admitted(request, answer)


async def answer(request: web.Request) -> web.StreamResponse:
    """What there is to say to a request, errors as text or as a page."""
    if request.method not in ("GET", "HEAD"):
        return _without_content(request)
    if ready := request.app[_CACHE].find(request):
        return ready
    try:
        return await _content(request)
    except ConnectionError:
        return nobody()
    except _EXPECTED as error:
        return _refused(request, error)


async def _content(request: web.Request) -> web.StreamResponse:
    cache = request.app[_CACHE]
    version = cache.version()
    target = target_of(request)
    host = request.app[_HOSTS].classify(authority(request))
    names = request.app[PARTS].names
    if isinstance(host, PathHost):
        mount: Mount | Moved = host.paths
    else:
        timing.begin(request, "names")
        mount = await mounted(host, target, names)
    if isinstance(mount, Moved):
        return _moved(request, mount)
    if not mount.isolated:
        if target.path == "/":
            opened = welcome(request)
            return _moved(request, opened) if isinstance(opened, Moved) else opened
        if elsewhere := moved(request, target):
            return _moved(request, elsewhere)
    try:
        response = await _cacheable(request, target, mount)
    except _EXPECTED as error:
        response = _refused(request, error)
    if not response.prepared and "Ipfs-Uri" not in response.headers:  # an error, or a way elsewhere
        make.tell_path(request, response.headers, *content_names(target.path, mount))
    if not mount.policy.only_pinned:  # what is pinned now may not be later
        cache.keep(request, response, version)
    return response


async def _cacheable(request: web.Request, target: Target, mount: Mount) -> web.StreamResponse:
    """412 where the client forbids to fetch what is not here (spec: path gateway, only-if-cached)."""
    if "only-if-cached" not in request.headers.get("Cache-Control", ""):
        return await _of_mount(request, target, mount)
    try:
        return await _of_mount(request, target, mount.without_fetching())
    except ContentBlocked:
        raise
    except (BlockNotFound, NameNotFound) as error:
        return messages.refusal(request, 412, f"{text_of(error)}, and only-if-cached forbids to fetch it")


async def _of_mount(request: web.Request, target: Target, mount: Mount) -> web.StreamResponse:
    asked = negotiate(request.query if request.query_string else {}, request.headers.get("Accept"))
    if mount.policy.trustless:
        trustless.check(content_text(target.path, mount), asked)
    if asked.format == "ipns-record" and (mount.prefix or target.path).startswith("/ipns/"):
        return await _record(request, target, mount, asked)
    path = await _path(request, target, mount)
    if isinstance(path, Moved):
        return _moved(request, path)
    request.app[PARTS].denylist.check_path(path.content)
    if mount.policy.only_pinned:
        await pinned.check(request.app[PARTS].cluster, path, asked)
    try:
        return await respond(request, path, asked)
    except NoLink:
        if page := await _rewritten(request, path, asked):
            return page
        raise


async def _record(request: web.Request, target: Target, mount: Mount, asked: Asked) -> web.StreamResponse:
    """The name's own record: where it leads does not matter."""
    path = ipns.parse_name_path(target.path, mount)
    if not mount.isolated and (elsewhere := ipns.canonical(path, target)):
        return _moved(request, elsewhere)
    request.app[PARTS].denylist.check_path(path)
    if mount.policy.only_pinned:
        leads_to = await ipns.followed(request.app[PARTS], path, target.path, mount)
        await pinned.check(request.app[PARTS].cluster, leads_to, asked)
    return await ipns_record.record(request, path, asked, fetch=mount.policy.fetch)


async def _path(request: web.Request, target: Target, mount: Mount) -> RequestPath | Moved:
    """The content path of the request, names followed."""
    if not (mount.prefix or target.path).startswith("/ipns/"):
        return parse_path(target.path, mount)
    path = ipns.parse_name_path(target.path, mount)
    if not mount.isolated and (elsewhere := ipns.canonical(path, target)):
        return elsewhere
    request.app[PARTS].denylist.check_path(path)
    timing.begin(request, "names")
    return await ipns.followed(request.app[PARTS], path, target.path, mount)


async def _rewritten(request: web.Request, path: RequestPath, asked: Asked) -> web.StreamResponse | None:
    """What the site's own rules say to a path that leads nowhere."""
    if not path.mount.isolated or asked.format is not None:
        return None
    return await rewriting.instead(request, path, asked)


def _moved(request: web.Request, elsewhere: Moved) -> web.Response:
    headers = {**make.cors(request), "Location": elsewhere.location}
    return web.Response(status=elsewhere.status, headers=headers)


def _without_content(request: web.Request) -> web.Response:
    status = 200 if request.method == "OPTIONS" else 405
    return web.Response(status=status, headers={**make.cors(request), "Allow": make.METHODS})


def _refused(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, RecentlyMissing):
        response = _refused(request, error.cause)
        response.headers["Retry-After"] = str(ceil(error.retry_after))
        return response
    for kind, status in _OWN:
        if isinstance(error, kind):
            response = messages.refusal(request, status, text_of(error))
            if isinstance(error, Unsatisfiable):
                response.headers["Content-Range"] = f"bytes */{error.size}"
            elif isinstance(error, TooLarge):
                response.headers["Cache-Control"] = make.GENERATED  # a setting changes seldom (boxo)
            return response
    response = messages.refusal(request, status_of(error), text_of(error))
    if response.status == 504:
        response.headers["Retry-After"] = _LATER
    return response
