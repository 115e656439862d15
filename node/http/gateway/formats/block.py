"""Blocks as they are: `?format=raw` of anything (spec: trustless gateway)."""

from __future__ import annotations

from aiohttp import web

from node.http.gateway.formats.content import Content
from node.http.gateway.formats.negotiation import TYPES
from node.http.gateway.replies import reply, response_headers


def raw(request: web.Request, content: Content) -> web.Response:
    """The block's bytes, to be verified by the client."""
    headers = content.headers(request, TYPES["raw"], f'"{content.cid}.raw"')
    if response := reply.conditional(request, headers):
        return response
    response_headers.set_attachment(request, headers, f"{content.cid}.bin")
    return reply.whole(request, content.root.data, headers)
