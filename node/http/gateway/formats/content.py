"""What a path led to, and the headers of every representation of it."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.fetch_progress import FetchesInFlight
from blockstore.path import Resolved
from node.http.app_key import PARTS
from node.http.gateway.formats.negotiation import Asked
from node.http.gateway.paths.request import RequestPath
from node.http.gateway.replies import response_headers
from node.retrieval.deadline import Deadline
from node.retrieval.deadline_blocks import DeadlineBlocks
from node.retrieval.negative_cache import NegativeCache

MISSES = web.AppKey("misses", NegativeCache)


def blocks_of(request: web.Request, path: RequestPath) -> DeadlineBlocks:
    """What the path's content is read from; at a host that fetches nothing, only what is here."""
    parts = request.app[PARTS]
    deadline, in_flight = Deadline(parts.config.gateway.first_byte_timeout), FetchesInFlight()
    fetches = path.mount.policy.fetch
    blocks = (parts.content if fetches else parts.kept)(path.content.root, in_flight)
    misses = request.app[MISSES] if fetches else NegativeCache(0)
    return DeadlineBlocks(blocks, in_flight, parts.store, misses, deadline)


@dataclass(frozen=True, slots=True)
class Content:
    """The block at the end of a path, one CID a segment on the way, and the source of the blocks below."""

    path: RequestPath
    root: Block
    roots: str
    blocks: DeadlineBlocks
    asked: Asked

    @property
    def cid(self) -> CID:
        return self.root.cid

    def headers(
        self, request: web.Request, content_type: str, etag: str, *, generated: bool = False
    ) -> response_headers.Headers:
        """`generated` pages are made by this program, so they change with it."""
        cache = response_headers.cache_control(self.path, generated=generated)
        headers = response_headers.content_headers(request, self.path, self.roots, content_type, etag, cache)
        response_headers.set_content_location(
            headers, self.asked.location(request.rel_url.raw_path, request.query)
        )
        return headers


async def content_at(path: RequestPath, found: Resolved, blocks: DeadlineBlocks, asked: Asked) -> Content:
    """The end of a path, read. Raises BlockNotFound, RetrievalTimeout."""
    return Content(path, await blocks.get(found.cid), ",".join(map(str, found.roots)), blocks, asked)
