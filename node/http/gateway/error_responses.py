"""Errors and redirects as answers: what only the gateway raises, then the table of all faces."""

from __future__ import annotations

from math import ceil

from aiohttp import web

from node.http.errors import STATUSES, text_of
from node.http.gateway.formats.negotiation import NotAcceptable
from node.http.gateway.hosts.redirect import Redirect
from node.http.gateway.paths.path_gateway import NotHere
from node.http.gateway.paths.redirects import BadRedirects
from node.http.gateway.pinned_only import NotPinnedHere
from node.http.gateway.replies import messages, response_headers
from node.http.gateway.replies.ranges import BadRange, Unsatisfiable
from node.http.gateway.replies.size_limits import RangeOfTooLarge, TooLarge
from node.retrieval.negative_cache import RecentlyMissing

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (BadRange, 400),
    (NotPinnedHere, 403),
    (NotHere, 404),
    (NotAcceptable, 406),
    (TooLarge, 410),
    (Unsatisfiable, 416),
    (RangeOfTooLarge, 501),
    (BadRedirects, 500),
    *STATUSES,
)
_RETRY_SECONDS = "60"

EXPECTED: tuple[type[Exception], ...] = (Redirect, *(kind for kind, _ in _STATUSES))
"""What the gateway answers for; anything else is a bug."""


def response_to(request: web.Request, error: Exception) -> web.Response:
    """The answer to one of the EXPECTED exceptions."""
    if isinstance(error, Redirect):
        headers = {**response_headers.cors(request), "Location": error.location}
        return web.Response(status=error.status, headers=headers)
    if isinstance(error, RecentlyMissing):
        response = response_to(request, error.cause)
        response.headers["Retry-After"] = str(ceil(error.retry_after))
        return response
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    response = messages.error_message(request, status, text_of(error))
    if isinstance(error, Unsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    elif isinstance(error, TooLarge):
        response.headers["Cache-Control"] = response_headers.GENERATED  # a setting changes seldom (boxo)
    elif status == 504:
        response.headers["Retry-After"] = _RETRY_SECONDS
    return response
