"""A content path answered: resolved, then given in the representation that was asked for."""

from __future__ import annotations

from aiohttp import web

from blockstore.cid import DAG_PB, RAW
from blockstore.path import Resolved, resolve
from node.http.errors import BadRequest
from node.http.gateway import server_timing
from node.http.gateway.formats import archive, block, dag, tar, unixfs
from node.http.gateway.formats.content import Content, blocks_of, content_at
from node.http.gateway.formats.negotiation import Asked, NotAcceptable
from node.http.gateway.paths.request import RequestPath
from node.http.gateway.replies import messages
from node.retrieval.deadline_blocks import Phase


async def respond(request: web.Request, path: RequestPath, asked: Asked) -> web.StreamResponse:
    """Raises BadRequest, NotAcceptable, BadRange, Unsatisfiable, and what reading raises."""
    server_timing.begin(request, "path")
    blocks = blocks_of(request, path)
    found = await resolve(blocks, path.content)
    if found.remainder and asked.format != "car":  # a CAR holds what is needed to see the field
        text = f"{found.cid} has fields at {'/'.join(found.remainder)}, not content of its own"
        return messages.error_message(request, 501, text)
    server_timing.begin(request, "block")
    content = await content_at(path, found, blocks.needed(Phase.CONTENT), asked)
    return await _represented(request, content, found)


async def _represented(request: web.Request, content: Content, found: Resolved) -> web.StreamResponse:
    asked = content.asked.format
    if asked == "car":
        return await archive.car(request, content, found)
    if asked == "raw":
        return block.raw(request, content)
    if asked == "tar":
        return await tar.archive(request, content)
    if asked == "ipns-record":
        raise BadRequest("format=ipns-record is for /ipns/<name of a key>")
    if content.cid.codec not in (RAW, DAG_PB):
        return await dag.respond(request, content)
    if asked in ("dag-json", "dag-cbor"):
        raise NotAcceptable(f"{content.cid} is UnixFS: codecs are not converted (IPIP-524)")
    return await unixfs.respond(request, content)
