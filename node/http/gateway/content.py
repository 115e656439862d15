"""What a path led to, and the headers of every representation of it."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from blockstore.cid import CID
from blockstore.service import BlockSource
from node.http.gateway import headers as make
from node.http.gateway.negotiation import Asked
from node.http.gateway.request import RequestPath
from node.parts import Parts


def blocks_of(parts: Parts, path: RequestPath) -> BlockSource:
    """What the path's content is read from; at a host that fetches nothing, only what is here."""
    source = parts.content if path.mount.policy.fetch else parts.kept
    return source(path.content.root)


@dataclass(frozen=True, slots=True)
class Content:
    """The CID at the end of a path, one CID a segment on the way, and the source of its blocks."""

    path: RequestPath
    cid: CID
    roots: str
    blocks: BlockSource
    stall: float  # seconds that one piece may take to come
    asked: Asked

    def headers(
        self, request: web.Request, content_type: str, etag: str, *, generated: bool = False
    ) -> make.Headers:
        """`generated` pages are made by this program, so they change with it."""
        cache = make.cache_control(self.path, generated=generated)
        headers = make.content_headers(request, self.path, self.roots, content_type, etag, cache)
        if location := self.asked.location(request.rel_url.raw_path, request.query):
            headers["Content-Location"] = location
        return headers
