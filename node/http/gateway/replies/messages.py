"""Messages of the gateway itself, errors above all: a line of text, or a page for browsers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

from node.http.gateway.pages.page import page
from node.http.gateway.replies import response_headers

_AGAIN = '<p><a href="">Try again</a></p>\n'


def error_message(request: web.Request, status: int, text: str) -> web.Response:
    """The answer to an error of that status; `text` is for the user."""
    texts = {"status": str(status), "phrase": _phrase(status), "text": text}
    response = message(
        request, status, text, "error.html", texts, {"again": _AGAIN if _is_temporary(status) else ""}
    )
    response.headers["Cache-Control"] = "no-cache" if status in (404, 410) else "no-store"
    return response


def message(
    request: web.Request,
    status: int,
    text: str,
    name: str,
    texts: Mapping[str, str],
    html: Mapping[str, str] = MappingProxyType({}),
) -> web.Response:
    """The template of that name filled with texts and HTML where Accept names HTML, else one line of text."""
    headers = response_headers.cors(request)
    headers["X-Content-Type-Options"] = "nosniff"
    if "text/html" not in request.headers.get("Accept", ""):
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return web.Response(status=status, body=f"{text}\n".encode(errors="replace"), headers=headers)
    template = page(name)
    headers["Content-Type"] = "text/html; charset=utf-8"
    headers["Content-Security-Policy"] = template.policy
    return web.Response(status=status, body=template.fill(texts, html).encode(), headers=headers)


def _is_temporary(status: int) -> bool:
    """Whether the same request may be answered later."""
    return status in (412, 429) or (status >= 500 and status != 501)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
