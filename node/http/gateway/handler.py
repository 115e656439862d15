"""One request answered, in the order of its steps: host → mount → policy → path → representation.

A step hands its value to the next one, or raises: an error, or Redirect where the content is at another URL.
`error_responses.py` makes the answer of either.
"""

from __future__ import annotations

from aiohttp import web

from blockstore.errors import BlockNotFound, NoLink
from node.denylist.errors import ContentBlocked
from node.http.app_key import PARTS
from node.http.errors import client_closed_request, text_of
from node.http.gateway import pinned_only, redirects_rules, server_timing, trustless_only
from node.http.gateway.error_responses import EXPECTED, response_to
from node.http.gateway.formats import ipns_record
from node.http.gateway.formats.negotiation import Asked, negotiate
from node.http.gateway.hosts.hosts import ForeignHost, Hosts, PathHost, Subdomain
from node.http.gateway.hosts.mount import Mount
from node.http.gateway.hosts.subdomains import mount_of
from node.http.gateway.hosts.target import Target, authority, target_of
from node.http.gateway.landing_page import landing_page
from node.http.gateway.paths import ipns
from node.http.gateway.paths.path_gateway import check_path
from node.http.gateway.paths.request import RequestPath, content_names, content_text, parse_path
from node.http.gateway.replies import messages, response_headers
from node.http.gateway.replies.response_cache import ResponseCache, cache_key, is_cacheable
from node.http.gateway.representation import respond
from node.names.errors import NameNotFound
from node.names.name import NamePath

CACHE = web.AppKey("cache", ResponseCache)
HOSTS = web.AppKey("hosts", Hosts)


async def answer(request: web.Request) -> web.StreamResponse:
    """The answer to any request; errors as a line of text, or as a page where Accept names HTML."""
    if request.method not in ("GET", "HEAD"):
        return _without_content(request)
    cache, key = request.app[CACHE], cache_key(request)
    if key and (cached := cache.get(key)):
        return cached
    version = cache.version()
    try:
        target = target_of(request)
        mount = await _mount(request, target)
        response = await _from_mount(request, target, mount)
    except ConnectionError:
        return client_closed_request()
    except EXPECTED as error:
        return response_to(request, error)
    # At an `only_pinned` host nothing is cached: what is pinned now may not be later.
    if key and not mount.policy.only_pinned and is_cacheable(response):
        cache.put(key, response, version)
    return response


async def is_site(request: web.Request) -> bool:
    """Whether all paths of the host that is asked are a site's: below a root, or what a DNSLink leads to."""
    host = request.app[HOSTS].classify(authority(request))
    if isinstance(host, ForeignHost):
        return await request.app[PARTS].names.has_dnslink(host.name)
    return isinstance(host, Subdomain)


async def _mount(request: web.Request, target: Target) -> Mount:
    """From the host to where its content hangs. Raises as `mount_of`."""
    host = request.app[HOSTS].classify(authority(request))
    if isinstance(host, PathHost):
        return host.paths
    server_timing.begin(request, "names")
    return await mount_of(host, target, request.app[PARTS].names)


async def _from_mount(request: web.Request, target: Target, mount: Mount) -> web.StreamResponse:
    """What is at a path of the mount; errors and redirects of content name its path as content does."""
    if not mount.isolated:
        if target.path == "/":
            return landing_page(request)
        check_path(request, target)
    try:
        response = await _from_cache_or_network(request, target, mount)
    except EXPECTED as error:
        response = response_to(request, error)
    if not response.prepared and "Ipfs-Uri" not in response.headers:
        response_headers.set_path(request, response.headers, *content_names(target.path, mount))
    return response


async def _from_cache_or_network(request: web.Request, target: Target, mount: Mount) -> web.StreamResponse:
    """412 for what is not here, where the client forbids to fetch it (spec: path gateway, only-if-cached)."""
    if "only-if-cached" not in request.headers.get("Cache-Control", ""):
        return await _content(request, target, mount)
    try:
        return await _content(request, target, mount.stored_only())
    except ContentBlocked:
        raise
    except (BlockNotFound, NameNotFound) as error:
        return messages.error_message(
            request, 412, f"{text_of(error)}, and only-if-cached forbids to fetch it"
        )


async def _content(request: web.Request, target: Target, mount: Mount) -> web.StreamResponse:
    """The path under the host's policy, in the representation that the client asks for."""
    asked = negotiate(request.query if request.query_string else {}, request.headers.get("Accept"))
    if mount.policy.trustless:
        trustless_only.check(content_text(target.path, mount), asked)
    if asked.format == "ipns-record" and ipns.is_name_path(target.path, mount):
        return await _ipns_record(request, target, mount, asked)
    path = await _content_path(request, target, mount)
    request.app[PARTS].denylist.check_path(path.content)
    if mount.policy.only_pinned:
        await pinned_only.check(request.app[PARTS].cluster, path, asked)
    return await _representation(request, path, asked)


async def _ipns_record(
    request: web.Request, target: Target, mount: Mount, asked: Asked
) -> web.StreamResponse:
    """The name's own record, wherever it leads; at `only_pinned` hosts it has to lead to a pin."""
    path = _name_path(request, target, mount)
    if mount.policy.only_pinned:
        content = await ipns.resolve_name(request.app[PARTS], path, target.path, mount)
        await pinned_only.check(request.app[PARTS].cluster, content, asked)
    return await ipns_record.record(request, path, asked, fetch=mount.policy.fetch)


async def _content_path(request: web.Request, target: Target, mount: Mount) -> RequestPath:
    """The path of immutable content; names are resolved."""
    if not ipns.is_name_path(target.path, mount):
        return parse_path(target.path, mount)
    path = _name_path(request, target, mount)
    server_timing.begin(request, "names")
    return await ipns.resolve_name(request.app[PARTS], path, target.path, mount)


def _name_path(request: web.Request, target: Target, mount: Mount) -> NamePath:
    path = ipns.parse_name_path(target, mount)
    request.app[PARTS].denylist.check_path(path)
    return path


async def _representation(request: web.Request, path: RequestPath, asked: Asked) -> web.StreamResponse:
    """What the path leads to; where it leads nowhere, what the site's own `_redirects` say."""
    try:
        return await respond(request, path, asked)
    except NoLink:
        if not path.mount.isolated or asked.format is not None:
            raise
        if by_rule := await redirects_rules.apply_rules(request, path, asked):
            return by_rule
        raise


def _without_content(request: web.Request) -> web.Response:
    status = 200 if request.method == "OPTIONS" else 405
    headers = {**response_headers.cors(request), "Allow": response_headers.METHODS}
    return web.Response(status=status, headers=headers)
