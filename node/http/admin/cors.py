"""Pages of other origins that an operator lets use an API (Fetch standard, section 3.2: CORS)."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

ANY = "*"
"""Every origin: its pages may read and change nothing."""

_EXPOSED = "Content-Type, X-Stream-Output, X-Chunked-Output, X-Content-Length"
_READS = ("GET", "HEAD")
_METHODS = ("GET", "HEAD", "POST", "DELETE")
_HEADERS = "Authorization, Content-Type"


class Cors:
    """`origins` are those of `api.cors_origins`, such as `https://pins.example.org`."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def allows(self, request: web.Request) -> bool:
        """Whether a request came from a page that may make it."""
        origin = request.headers.get("Origin", "")
        return bool(origin) and request.method in self._methods(origin)

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to the question whether a page may ask; None where nothing like that is asked."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        headers = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
        methods = self._methods(request.headers.get("Origin", ""))
        if request.headers["Access-Control-Request-Method"] in methods:
            headers |= self._allowing(request.headers.get("Origin", ""))
            headers |= {
                "Access-Control-Allow-Methods": ", ".join(methods),
                "Access-Control-Allow-Headers": _HEADERS,
            }
        return web.Response(status=204, headers=headers)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `on_response_prepare`: pages that may read an answer are named in it."""
        if self._origins:
            response.headers.add("Vary", "Origin")
        if self.allows(request):
            response.headers.update(self._allowing(request.headers["Origin"]))
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _methods(self, origin: str) -> Collection[str]:
        if origin in self._origins and origin != ANY:
            return _METHODS
        return _READS if ANY in self._origins else ()

    def _allowing(self, origin: str) -> dict[str, str]:
        """Credentials are taken from origins that are named one by one alone."""
        if origin in self._origins:
            return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        return {"Access-Control-Allow-Origin": ANY}
