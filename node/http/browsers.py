"""What browsers may do with the listeners for admins: nothing for pages of others, and they run nothing."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from node.http import origins
from node.http.json_errors import error_response

_SAFE = ("GET", "HEAD")
_NOTHING_RUNS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


async def nothing_runs(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: whatever a browser is made to load from here stays data."""
    for name, value in _NOTHING_RUNS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def own_pages_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """403 to what would change something for a page of another origin."""
    if request.method in _SAFE or origins.allowed(request.headers, origins.own_port(request)):
        return await handler(request)
    return error_response(403, "a web page of another origin may not use this API")
