"""Errors as the client reads them: a line of text, or a page for browsers."""

from __future__ import annotations

from functools import cache
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template

from aiohttp import web

from node.http.gateway import headers as make

_TEMPLATE = Path(__file__).parent.parent / "templates" / "error.html"


def refusal(request: web.Request, status: int, text: str) -> web.Response:
    """HTML only where Accept names it."""
    headers = make.cors(request)
    headers["Cache-Control"] = "no-cache" if status in (404, 410) else "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    if "text/html" not in request.headers.get("Accept", ""):
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return web.Response(status=status, body=f"{text}\n".encode(errors="replace"), headers=headers)
    headers["Content-Type"] = "text/html; charset=utf-8"
    headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    page = _template().substitute(status=status, phrase=_phrase(status), text=escape(text))
    return web.Response(status=status, body=page.encode(errors="replace"), headers=headers)


@cache
def _template() -> Template:
    return Template(_TEMPLATE.read_text("utf-8"))


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
