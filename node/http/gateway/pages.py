"""Errors as the client reads them: a line of text, or a page for browsers."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from node.http.gateway import headers as make
from node.http.gateway.page import page


def refusal(request: web.Request, status: int, text: str) -> web.Response:
    """HTML only where Accept names it."""
    headers = make.cors(request)
    headers["Cache-Control"] = "no-cache" if status in (404, 410) else "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    if "text/html" not in request.headers.get("Accept", ""):
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return web.Response(status=status, body=f"{text}\n".encode(errors="replace"), headers=headers)
    headers["Content-Type"] = "text/html; charset=utf-8"
    template = page("error.html")
    headers["Content-Security-Policy"] = template.policy
    filled = template.fill({"status": str(status), "phrase": _phrase(status), "text": text}, {})
    return web.Response(status=status, body=filled.encode(), headers=headers)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
