"""Nodes in JSON and CBOR: their own bytes, never converted (IPIP-524), or a page to look at."""

from __future__ import annotations

from aiohttp import web

from blockstore import cid as codes
from blockstore.ipld.decoding import beside
from node.http.gateway.formats.content import Content
from node.http.gateway.formats.negotiation import TYPES, Format, NotAcceptable
from node.http.gateway.pages import preview
from node.http.gateway.replies import reply, response_headers

# What each codec may be called; the first is its own name.
_FORMATS: dict[int, tuple[Format, ...]] = {
    codes.JSON: ("json",),
    codes.CBOR: ("cbor",),
    codes.DAG_JSON: ("dag-json", "json"),
    codes.DAG_CBOR: ("dag-cbor", "cbor"),
}
_UNKNOWN = "application/octet-stream"


async def respond(request: web.Request, content: Content) -> web.Response:
    """Codecs without a format of their own are given as bytes. Raises NotAcceptable, BadBlock."""
    names = _FORMATS.get(content.cid.codec, ())
    asked = content.asked
    if asked.format is not None and asked.format not in names:
        own = " or ".join(names) or "raw"
        raise NotAcceptable(
            f"{content.cid} is {own}, not {asked.format}: codecs are not converted (IPIP-524)"
        )
    dag = names[:1] in (("dag-json",), ("dag-cbor",))
    if dag and asked.format is None and request.query.get("download") != "true":
        return await _shown(request, content, names[0])
    return _bytes(request, content, asked.format or (names[0] if names else None))


async def _shown(request: web.Request, content: Content, kind: Format) -> web.Response:
    """The page for a browser, the node for a program; Vary says to caches that Accept decides."""
    response = await _page(request, content) if content.asked.html else _bytes(request, content, kind)
    response.headers["Vary"] = "Accept"
    return response


def _bytes(request: web.Request, content: Content, kind: Format | None) -> web.Response:
    suffix = kind or "bin"
    headers = content.headers(request, TYPES[kind] if kind else _UNKNOWN, f'"{content.cid}.{suffix}"')
    if response := reply.conditional(request, headers):
        return response
    inline = suffix.endswith("json") and request.query.get("download") != "true"
    name = f"{content.cid}.{suffix.removeprefix('dag-')}"
    response_headers.set_attachment(request, headers, name, "inline" if inline else "attachment")
    return reply.whole(request, content.root.data, headers)


async def _page(request: web.Request, content: Content) -> web.Response:
    template = preview.template()
    etag = f'"DagIndex-{template.digest}_CID-{content.cid}"'
    headers = content.headers(request, "text/html; charset=utf-8", etag, generated=True)
    if response := reply.conditional(request, headers):
        return response
    shown = await beside(lambda root: preview.render(content.path, root), content.root)
    headers["Content-Security-Policy"] = template.policy
    headers["X-Content-Type-Options"] = "nosniff"
    return web.Response(body=shown.encode(errors="replace"), headers=headers)
