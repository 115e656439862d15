"""Response headers of the gateway (specs: path gateway, trustless gateway, IPIP-548)."""

from __future__ import annotations

from urllib.parse import quote

from multidict import CIMultiDict

from blockstore.cid import CID
from node.http.gateway.request import RequestPath

Headers = CIMultiDict[str]

METHODS = "GET, HEAD, OPTIONS"
IMMUTABLE = "public, max-age=29030400, immutable"
GENERATED = "public, max-age=604800, stale-while-revalidate=2678400"

CORS = CIMultiDict(
    {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
        "Access-Control-Expose-Headers": "Content-Length, Content-Range, Ipfs-Uri, X-Chunked-Output, "
        "X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output",
    }
)


def content_headers(
    path: RequestPath, roots: str, content_type: str, etag: str, cache: str = IMMUTABLE
) -> Headers:
    """What every answer with content carries. `roots`: one CID a path segment, root first, with commas."""
    headers = CORS.copy()
    headers["Content-Type"] = content_type
    headers["Etag"] = etag
    headers["Cache-Control"] = cache
    headers["X-Ipfs-Roots"] = roots
    text = path.text
    if text.isascii() and text.isprintable():
        headers["X-Ipfs-Path"] = text
    if uri := path.uri():
        headers["Ipfs-Uri"] = uri
    return headers


def roots_text(roots: tuple[CID, ...]) -> str:
    return ",".join(map(str, roots))


def disposition(kind: str, name: str) -> str:
    """Content-Disposition with an ASCII name, and the real one beside it where that differs (RFC 6266)."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "_" for c in name)
    if plain == name:
        return f'{kind}; filename="{name}"'
    exact = quote(name.encode(errors="surrogateescape"), safe="")
    return f"{kind}; filename=\"{quote(plain, safe=' ')}\"; filename*=UTF-8''{exact}"
