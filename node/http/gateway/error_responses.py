"""Errors as answers of the gateway: what only it can run into, then the one table of all faces."""

from __future__ import annotations

from math import ceil

from aiohttp import web

from node.http.errors import STATUSES, text_of
from node.http.gateway.formats.negotiation import NotAcceptable
from node.http.gateway.paths.elsewhere import NotHere
from node.http.gateway.paths.redirects import BadRedirects
from node.http.gateway.pinned_only import NotPinnedHere
from node.http.gateway.replies import headers as make
from node.http.gateway.replies import messages
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
_LATER = "60"  # seconds

EXPECTED = tuple(kind for kind, _ in _STATUSES)
"""What the gateway answers for; anything else is a bug."""


def refused(request: web.Request, error: Exception) -> web.Response:
    """The answer to one of the EXPECTED errors."""
    if isinstance(error, RecentlyMissing):
        response = refused(request, error.cause)
        response.headers["Retry-After"] = str(ceil(error.retry_after))
        return response
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    response = messages.refusal(request, status, text_of(error))
    if isinstance(error, Unsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    elif isinstance(error, TooLarge):
        response.headers["Cache-Control"] = make.GENERATED  # a setting changes seldom (boxo)
    elif status == 504:
        response.headers["Retry-After"] = _LATER
    return response
