"""Blocks as they are: `?format=raw` of anything, and nodes that are no files (spec: trustless gateway)."""

from __future__ import annotations

from aiohttp import web

from blockstore import cid as codes
from node.http.gateway import headers as make
from node.http.gateway import reply
from node.http.gateway.unixfs import Content

_TYPES = {
    codes.JSON: ("application/json", "json"),
    codes.CBOR: ("application/cbor", "cbor"),
    codes.DAG_JSON: ("application/vnd.ipld.dag-json", "dag-json"),
    codes.DAG_CBOR: ("application/vnd.ipld.dag-cbor", "dag-cbor"),
}
FILE_CODECS = frozenset((codes.RAW, codes.DAG_PB))


async def raw(request: web.Request, content: Content) -> web.Response:
    """The block's bytes, to be verified by the client."""
    headers = make.content_headers(
        content.path, content.roots, "application/vnd.ipld.raw", f'"{content.cid}.raw"'
    )
    if response := reply.not_modified(request, headers):
        return response
    headers["X-Content-Type-Options"] = "nosniff"
    name = request.query.get("filename") or f"{content.cid}.bin"
    headers["Content-Disposition"] = make.disposition("attachment", name)
    return reply.whole(request, (await content.blocks.get(content.cid)).data, headers)


async def node(request: web.Request, content: Content) -> web.Response:
    """A JSON or CBOR node in its own encoding; other codecs as bytes."""
    kind, suffix = _TYPES.get(content.cid.codec, ("application/octet-stream", "bin"))
    headers = make.content_headers(content.path, content.roots, kind, f'"{content.cid}.{suffix}"')
    if response := reply.not_modified(request, headers):
        return response
    place = "inline" if suffix.endswith("json") else "attachment"
    extension = suffix.removeprefix("dag-")
    headers["Content-Disposition"] = make.disposition(place, f"{content.cid}.{extension}")
    return reply.whole(request, (await content.blocks.get(content.cid)).data, headers)
