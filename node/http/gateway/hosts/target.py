"""Which host a request is for, and what it asks of it: reverse proxies and HTTP proxies included."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

URL_CHARACTERS = "".join(map(chr, range(33, 127)))  # what is no such character becomes an escape


@dataclass(frozen=True, slots=True)
class Target:
    """A request without its host: `path` and `query` as they came, `https` what its client speaks."""

    path: str
    query: str
    https: bool

    def with_query(self, path: str) -> str:
        """That path of the same host, with the query of this request."""
        return f"{path}?{self.query}" if self.query else path

    def url_at(self, authority: str, path: str) -> str:
        """The URL of that path at another host, with the query of this request."""
        url = f"{'https' if self.https else 'http'}://{authority}{self.with_query(path or '/')}"
        return quote(url.encode(errors="surrogateescape"), safe=URL_CHARACTERS)


def authority(request: web.Request) -> str:
    """X-Forwarded-Host, else the host in an absolute request line (RFC 9112 section 3.2.2), else Host."""
    if forwarded := _forwarded(request, "X-Forwarded-Host"):
        return forwarded
    raw = request.raw_path
    if not raw.startswith("/") and "://" in raw:
        return raw.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]
    return request.headers.get("Host", "")


def target_of(request: web.Request) -> Target:
    """The path is ASCII and never begins with two slashes: as a Location, that would name another host.

    Nor has it a backslash, which browsers take for a slash.
    """
    path, _, query = request.raw_path.partition("?")
    if not path.startswith("/"):
        path = path.partition("://")[2].partition("/")[2]
    path = "/" + path.lstrip("/").replace("\\", "%5C")
    if not path.isascii():
        path = quote(path.encode(errors="surrogateescape"), safe=URL_CHARACTERS)
    scheme = _forwarded(request, "X-Forwarded-Proto") or request.scheme
    return Target(path, query, scheme.lower() == "https")


def _forwarded(request: web.Request, name: str) -> str:
    """What the first of several proxies says: it is the one that visitors see."""
    return request.headers.get(name, "").partition(",")[0].strip()
