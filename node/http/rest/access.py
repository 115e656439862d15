"""Before the cluster REST API answers: who calls, and that pages of other origins change nothing."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from node.http.admin import origins
from node.http.admin.callers import CALLERS
from node.http.admin.cors import Cors
from node.http.rest.json_errors import error_response

CORS = web.AppKey("cors", Cors)

_SAFE = ("GET", "HEAD")
_PROBES = frozenset(("/health", "/health/started", "/health/live", "/health/ready"))
_POWERFUL = ("/v1/", "/peers")
# Routes that change pins and this store alone, or nothing.
_ORDINARY = frozenset(
    (
        "/peers",
        *("/v1/cars", "/v1/compact", "/v1/gc", "/v1/pins", "/v1/state", "/v1/store/check", "/v1/sync"),
        "/v1/unpins",
    )
)


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
    power, probe = _gives_power(request), request.method in _SAFE and request.path in _PROBES
    refused = request.app[CALLERS].refusal(request, power=power, probe=probe)
    if refused is None:
        return await handler(request)
    response = error_response(refused.status, refused.text)
    response.headers.extend(refused.headers)
    return response


def _is_own(request: web.Request) -> bool:
    return origins.allowed(request.headers, origins.own_port(request))


def _gives_power(request: web.Request) -> bool:
    """Whether the route changes who belongs to the cluster, or what a peer may do there.

    Our own routes do unless they are known to be ordinary: a new one asks for the secret by itself.
    """
    resource = request.match_info.route.resource
    route = resource.canonical if resource else ""
    return request.method not in _SAFE and route.startswith(_POWERFUL) and route not in _ORDINARY
