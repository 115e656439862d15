"""Who may call the APIs from a browser: pages of this machine on the API's own port only (Kubo's rule).

A page of any site can make a browser on this machine send requests to loopback; only the headers show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

FORBIDDEN = "403 - Forbidden"
_LOCAL = frozenset(("127.0.0.1", "::1", "localhost"))


def allowed(headers: Mapping[str, str], port: int) -> bool:
    """Whether a request with these headers may act on the API that listens on that port."""
    origin, referer = headers.get("Origin"), headers.get("Referer")
    if origin is not None and not _is_own(origin, port):
        return False
    if referer is not None and not _is_own(referer, port):
        return False
    agent = headers.get("User-Agent", "")
    named = origin is not None or referer is not None
    return named or not agent.startswith("Mozilla") or "Electron" in agent


def own_port(request: web.Request) -> int:
    """The port that the request came in by; 0 where it has none."""
    name = request.get_extra_info("sockname")
    return int(name[1]) if isinstance(name, tuple) else 0


def _is_own(url: str, port: int) -> bool:
    try:
        parts = urlsplit(url)
        standard = {"http": 80, "https": 443}[parts.scheme]
        return parts.hostname in _LOCAL and (parts.port or standard) == port
    except (KeyError, ValueError):
        return False
