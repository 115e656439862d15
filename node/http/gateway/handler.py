"""What there is to say to a request: from its host and its path to an answer, or to another address."""

from __future__ import annotations

from aiohttp import web

from blockstore.errors import BlockNotFound, NoLink
from node.denylist.errors import ContentBlocked
from node.http.app_key import PARTS
from node.http.errors import client_closed_request, text_of
from node.http.gateway import pinned_only, redirects_rules, server_timing, trustless_only
from node.http.gateway.error_responses import EXPECTED, refused
from node.http.gateway.formats import ipns_record
from node.http.gateway.formats.negotiation import Asked, negotiate
from node.http.gateway.hosts.hosts import Hosts, PathHost
from node.http.gateway.hosts.mount import Mount
from node.http.gateway.hosts.subdomains import mounted
from node.http.gateway.hosts.target import Moved, Target, authority, target_of
from node.http.gateway.landing_page import welcome
from node.http.gateway.paths import ipns
from node.http.gateway.paths.elsewhere import moved
from node.http.gateway.paths.request import RequestPath, content_names, content_text, parse_path
from node.http.gateway.replies import headers as make
from node.http.gateway.replies import messages
from node.http.gateway.replies.response_cache import ResponseCache
from node.http.gateway.representation import respond
from node.names.errors import NameNotFound

CACHE = web.AppKey("cache", ResponseCache)
HOSTS = web.AppKey("hosts", Hosts)


async def answer(request: web.Request) -> web.StreamResponse:
    """What there is to say to a request, errors as text or as a page."""
    if request.method not in ("GET", "HEAD"):
        return _without_content(request)
    if ready := request.app[CACHE].find(request):
        return ready
    try:
        return await _content(request)
    except ConnectionError:
        return client_closed_request()
    except EXPECTED as error:
        return refused(request, error)


async def _content(request: web.Request) -> web.StreamResponse:
    cache = request.app[CACHE]
    version = cache.version()
    target = target_of(request)
    mount = await _mount(request, target)
    if isinstance(mount, Moved):
        return _moved(request, mount)
    if not mount.isolated and (early := _of_no_content(request, target)):
        return early
    try:
        response = await _cacheable(request, target, mount)
    except EXPECTED as error:
        response = refused(request, error)
    if not response.prepared and "Ipfs-Uri" not in response.headers:  # an error, or a way elsewhere
        make.tell_path(request, response.headers, *content_names(target.path, mount))
    if not mount.policy.only_pinned:  # what is pinned now may not be later
        cache.keep(request, response, version)
    return response


async def _mount(request: web.Request, target: Target) -> Mount | Moved:
    """What the host makes of the path. Raises as `mounted`."""
    host = request.app[HOSTS].classify(authority(request))
    if isinstance(host, PathHost):
        return host.paths
    server_timing.begin(request, "names")
    return await mounted(host, target, request.app[PARTS].names)


def _of_no_content(request: web.Request, target: Target) -> web.Response | None:
    """What a path gateway answers before any content is looked for. Raises as `moved`."""
    if target.path == "/":
        opened = welcome(request)
        return _moved(request, opened) if isinstance(opened, Moved) else opened
    elsewhere = moved(request, target)
    return _moved(request, elsewhere) if elsewhere else None


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
        trustless_only.check(content_text(target.path, mount), asked)
    if asked.format == "ipns-record" and (mount.prefix or target.path).startswith("/ipns/"):
        return await _record(request, target, mount, asked)
    path = await _path(request, target, mount)
    if isinstance(path, Moved):
        return _moved(request, path)
    request.app[PARTS].denylist.check_path(path.content)
    if mount.policy.only_pinned:
        await pinned_only.check(request.app[PARTS].cluster, path, asked)
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
        await pinned_only.check(request.app[PARTS].cluster, leads_to, asked)
    return await ipns_record.record(request, path, asked, fetch=mount.policy.fetch)


async def _path(request: web.Request, target: Target, mount: Mount) -> RequestPath | Moved:
    """The content path of the request, names followed."""
    if not (mount.prefix or target.path).startswith("/ipns/"):
        return parse_path(target.path, mount)
    path = ipns.parse_name_path(target.path, mount)
    if not mount.isolated and (elsewhere := ipns.canonical(path, target)):
        return elsewhere
    request.app[PARTS].denylist.check_path(path)
    server_timing.begin(request, "names")
    return await ipns.followed(request.app[PARTS], path, target.path, mount)


async def _rewritten(request: web.Request, path: RequestPath, asked: Asked) -> web.StreamResponse | None:
    """What the site's own rules say to a path that leads nowhere."""
    if not path.mount.isolated or asked.format is not None:
        return None
    return await redirects_rules.instead(request, path, asked)


def _moved(request: web.Request, elsewhere: Moved) -> web.Response:
    headers = {**make.cors(request), "Location": elsewhere.location}
    return web.Response(status=elsewhere.status, headers=headers)


def _without_content(request: web.Request) -> web.Response:
    status = 200 if request.method == "OPTIONS" else 405
    return web.Response(status=status, headers={**make.cors(request), "Allow": make.METHODS})
