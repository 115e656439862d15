"""Headers of all answers to admins: whatever a browser is made to load from here stays data."""

from __future__ import annotations

from aiohttp import web

_NOTHING_RUNS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


async def nothing_runs(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`."""
    for name, value in _NOTHING_RUNS.items():
        response.headers.setdefault(name, value)
