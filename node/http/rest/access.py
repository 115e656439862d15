"""Before the cluster REST API answers: who calls, and that pages of other origins change nothing."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from node.access.rights import Right
from node.http.admin import origins
from node.http.admin.auditing import audited
from node.http.admin.callers import CALLERS
from node.http.admin.cors import Cors
from node.http.app_key import PARTS
from node.http.rest.json_errors import error_response

CORS = web.AppKey("cors", Cors)

_SAFE = ("GET", "HEAD")
_PROBES = frozenset(("/health", "/health/started", "/health/live", "/health/ready"))
_POWERFUL = ("/v1/", "/peers")
# Routes that change pins and what is stored for them.
_PINNING = frozenset(
    (
        *("/add", "/pins/{cid}", "/pins/{namespace}/{path}", "/pins/recover", "/pins/{cid}/recover"),
        *("/v1/cars", "/v1/follows", "/v1/pins", "/v1/unpins"),
    )
)
# Routes that look after this node, or change the whole pinset.
_UPKEEP = frozenset(
    (*("/ipfs/gc", "/peers", "/v1/compact", "/v1/gc", "/v1/state", "/v1/store/check", "/v1/sync"),)
)
# What only those may read who may do everything.
_GUARDED = frozenset(("/v1/audit", "/v1/tokens"))
# Every caller may ask for a session; the answer depends on what it shows.
_ANYBODY = frozenset(("/token",))


@web.middleware
async def written_down(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever may change something, and whatever was refused of that, is in the audit log."""
    if request.method in (*_SAFE, "OPTIONS") or _route(request) in _ANYBODY:
        return await handler(request)
    return await audited(request, request.app[PARTS].audit, "api", lambda: handler(request))


@web.middleware
async def known_callers_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refused, as JSON: what would change something for a page of another origin, and what CALLERS refuses.

    That is a foreign host, or a missing or wrong credential.
    """
    cors = request.app[CORS]
    if (answer := cors.preflight(request)) is not None:
        return answer
    if request.method not in _SAFE and not cors.allows(request) and not _is_own(request):
        return error_response(403, "a web page of another origin may not use this API")
    probe = request.method in _SAFE and request.path in _PROBES
    refused = request.app[CALLERS].refusal(request, _needed(request), probe=probe)
    if refused is None:
        return await handler(request)
    response = error_response(refused.status, refused.text)
    response.headers.extend(refused.headers)
    return response


def _is_own(request: web.Request) -> bool:
    return origins.allowed(request.headers, origins.own_port(request))


def _needed(request: web.Request) -> Right:
    """What its route asks for.

    Our own routes give power over the cluster unless they are known not to: a new one asks for it by itself.
    """
    route = _route(request)
    if request.method in _SAFE or route in _ANYBODY:
        return Right.POWER if route in _GUARDED else Right.READ
    if route in _PINNING:
        return Right.PIN
    return Right.POWER if route.startswith(_POWERFUL) and route not in _UPKEEP else Right.UPKEEP


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
