"""Response headers of the gateway (specs: path gateway, trustless gateway, IPIP-548)."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web
from multidict import CIMultiDict

from node.http.app_key import PARTS
from node.http.gateway.paths.request import RequestPath

Headers = CIMultiDict[str]

METHODS = "GET, HEAD, OPTIONS"
IMMUTABLE = "public, max-age=29030400, immutable"
_REVALIDATED = "stale-while-revalidate=2678400"
GENERATED = f"public, max-age=604800, {_REVALIDATED}"

_EXPOSED = "Content-Length, Content-Range, Ipfs-Uri, X-Chunked-Output, X-Ipfs-Roots, X-Stream-Output"
_CORS = CIMultiDict(
    {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
        "Access-Control-Expose-Headers": _EXPOSED,
    }
)
_CORS_WITH_PATH = CIMultiDict({**_CORS, "Access-Control-Expose-Headers": f"{_EXPOSED}, X-Ipfs-Path"})


def cors(request: web.Request) -> Headers:
    """What every answer carries, whatever else it is; a copy."""
    return (_CORS_WITH_PATH if request.app[PARTS].config.gateway.x_ipfs_path else _CORS).copy()


def content_headers(
    request: web.Request, path: RequestPath, roots: str, content_type: str, etag: str, cache: str
) -> Headers:
    """What every answer with content carries. `roots`: one CID a path segment, root first, with commas."""
    headers = cors(request)
    headers["Content-Type"] = content_type
    headers["Etag"] = etag
    if cache:
        headers["Cache-Control"] = cache
    headers["X-Ipfs-Roots"] = roots
    set_path(request, headers, path.text, path.uri())
    return headers


def set_path(request: web.Request, headers: Headers, text: str, uri: str) -> None:
    """What was asked for, decoded and as a URI; either is left out where it is empty or fits no header."""
    if uri:
        headers["Ipfs-Uri"] = uri
    if text and request.app[PARTS].config.gateway.x_ipfs_path and text.isascii() and text.isprintable():
        headers["X-Ipfs-Path"] = text


def set_content_location(headers: Headers, location: str) -> None:
    """Where what Accept chose is under an address of its own; empty: Accept chose nothing.

    Vary is for caches that know nothing of Content-Location. It is on these answers only: files are asked
    for with as many Accepts as there are browsers (RFC 9110 section 12.5.5; boxo has no Vary at all).
    """
    if location:
        headers["Content-Location"] = location
        headers["Vary"] = "Accept"


def cache_control(path: RequestPath, *, generated: bool = False) -> str:
    """By what the path begins with; `generated` pages change with the program. Empty: not known."""
    if path.namespace == "ipfs":
        return GENERATED if generated else IMMUTABLE
    if path.ttl is None:
        return ""
    age = f"public, max-age={max(int(path.ttl), 0)}"
    return f"{age}, {_REVALIDATED}" if generated else age


def set_attachment(request: web.Request, headers: Headers, name: str, kind: str = "attachment") -> None:
    """Bytes for programs: saved under the name that the client gives, else this one, and never sniffed."""
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Content-Disposition"] = disposition(kind, request.query.get("filename") or name)


def disposition(kind: str, name: str) -> str:
    """Content-Disposition with an ASCII name, and the real one beside it where that differs (RFC 6266).

    Some browsers take a `%` for an escape (appendix D), so it is none of the signs that speak for themselves.
    """
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "_" for c in name)
    if plain == name and "%" not in name:
        return f'{kind}; filename="{name}"'
    exact = quote(name.encode(errors="surrogateescape"), safe="")
    return f"{kind}; filename=\"{quote(plain, safe=' ')}\"; filename*=UTF-8''{exact}"
