"""Files and trees as TAR (spec: path gateway; IPIP-288)."""

from __future__ import annotations

from aiohttp import web

from blockstore.errors import NotUnixFS
from blockstore.unixfs.reader import stat_of
from blockstore.unixfs.tar import tar_stream
from node.http.app_key import PARTS
from node.http.gateway.formats.content import Content
from node.http.gateway.formats.negotiation import TYPES, NotAcceptable
from node.http.gateway.replies import reply, response_headers
from node.http.gateway.replies.size_limits import capped, check
from node.http.trailers import TrailerResponse


async def archive(request: web.Request, content: Content) -> web.StreamResponse:
    """The tree, its top entry called by the CID.

    An entry that would leave the tree is refused with a status where it is met in the first 64 KiB; behind
    them it breaks the connection, and a trailer says why. Raises NotAcceptable, which holds for trees with
    something else than files in them too, TooLarge, BadPath, BlockNotFound.
    """
    try:
        return await _archive(request, content)
    except NotUnixFS as error:
        raise NotAcceptable(f"{error}: there is no TAR with it") from None


async def _archive(request: web.Request, content: Content) -> web.StreamResponse:
    headers = content.headers(request, TYPES["tar"], f'W/"{content.cid}.x-tar"')
    if response := reply.conditional(request, headers):
        return response
    info = await stat_of(content.root)
    most = request.app[PARTS].config.gateway.max_response
    check(info.size if info.kind == "file" else info.cumulative, most)
    response_headers.set_attachment(request, headers, f"{content.cid}.tar")
    headers["Accept-Ranges"] = "none"
    stream = TrailerResponse(headers=headers)
    pieces = reply.gathered(tar_stream(content.blocks, content.cid, str(content.cid)))
    return await reply.send(request, stream, capped(pieces, most), content.blocks.deadline)
