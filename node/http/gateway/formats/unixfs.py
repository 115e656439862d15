"""Files, directories and symlinks as web pages and downloads (spec: path gateway)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from aiohttp import web

from blockstore.block import Block
from blockstore.errors import NoLink, NotUnixFS
from blockstore.unixfs.listing import lookup
from blockstore.unixfs.reader import UnixFSStat, read_file, stat_of
from node.http.app_key import PARTS
from node.http.gateway.formats.content import Content
from node.http.gateway.hosts.redirect import Redirect
from node.http.gateway.pages import listing
from node.http.gateway.replies import conditions, reply, response_headers
from node.http.gateway.replies.response_cache import MAX_BODY
from node.http.gateway.replies.size_limits import capped, check
from node.http.media_types import sniff

_INDEX = "index.html"


async def respond(request: web.Request, content: Content) -> web.StreamResponse:
    """Raises NotUnixFS, Redirect for a directory without its slash, and what reading raises."""
    info = await stat_of(content.root)
    if info.kind == "directory":
        return await _directory(request, content, info)
    if info.kind == "symlink":
        return _symlink(request, content, info)
    return await _file(request, content, info, content.path.name, str(content.cid))


async def _file(
    request: web.Request, content: Content, info: UnixFSStat, name: str, etag: str
) -> web.StreamResponse:
    """`info` is what the content's root says of itself."""
    headers = _dated(content.headers(request, sniff.UNKNOWN, f'"{etag}"'), info)
    if response := reply.conditional(request, headers):
        return response
    check(info.size, request.app[PARTS].config.gateway.max_response)
    wanted = reply.part(request, headers, info.size)
    _set_disposition(request, headers)
    if wanted is None and info.size <= MAX_BODY:
        data = await _all(content)
        headers["Content-Type"] = _named_type(request, name) or sniff.sniff(data)
        return reply.whole(request, data, headers)
    if kind := _named_type(request, name) or await _sniffed_type(request, content, info, wanted):
        headers["Content-Type"] = kind
    else:
        del headers["Content-Type"]

    def read(start: int, stop: int) -> AsyncGenerator[bytes]:
        return reply.gathered(read_file(content.blocks, content.cid, start, stop, root=content.root))

    return await reply.streamed(request, info.size, headers, read, content.blocks.deadline)


def _symlink(request: web.Request, content: Content, info: UnixFSStat) -> web.Response:
    """Not followed: the body is where it points to."""
    headers = _dated(content.headers(request, "inode/symlink", f'"{info.cid}"'), info)
    if response := reply.conditional(request, headers):
        return response
    _set_disposition(request, headers)
    return reply.whole(request, info.target or b"", headers)


def _dated(headers: response_headers.Headers, info: UnixFSStat) -> response_headers.Headers:
    """With Last-Modified where the node has a time; one that was not recorded is not made up."""
    if modified := conditions.last_modified(info.mtime):
        headers["Last-Modified"] = modified
    return headers


async def _directory(request: web.Request, content: Content, info: UnixFSStat) -> web.StreamResponse:
    if not content.path.slash and "go-get" not in request.query:
        query = request.rel_url.raw_query_string  # decoded, it might not fit a header
        raise Redirect(content.path.escaped + "/" + (f"?{query}" if query else ""))
    try:
        entry = await lookup(content.blocks, content.cid, _INDEX)
    except NoLink:
        return await _listing(request, content, info)
    index = await content.blocks.get(entry.cid)
    if file := await _as_file(index):
        return await _file(request, replace(content, root=index), file, _INDEX, str(content.cid))
    return await _listing(request, content, info)


async def _as_file(root: Block) -> UnixFSStat | None:
    try:
        info = await stat_of(root)
    except NotUnixFS:
        return None
    return info if info.kind == "file" else None


async def _listing(request: web.Request, content: Content, info: UnixFSStat) -> web.StreamResponse:
    parts = request.app[PARTS]
    kinds = await listing.kinds_in(info, content.blocks, parts.store)
    etag = listing.etag(content.cid, kinds)
    headers = _dated(content.headers(request, "text/html; charset=utf-8", etag, generated=True), info)
    if response := reply.conditional(request, headers):
        return response
    headers["Content-Security-Policy"] = listing.template().policy
    page = web.StreamResponse(headers=headers)
    pieces = listing.listed(content.path, info, content.blocks, kinds)
    pieces = capped(pieces, parts.config.gateway.max_response)
    return await reply.send(request, page, pieces, content.blocks.deadline, listing.BROKEN_OFF)


def _named_type(request: web.Request, name: str) -> str | None:
    return sniff.by_name(request.query.get("filename") or name) if name or request.query_string else None


async def _sniffed_type(
    request: web.Request, content: Content, info: UnixFSStat, wanted: tuple[int, int] | None
) -> str | None:
    """The type by the first bytes; None where these are what is sent first, and say it then.

    For a later range they are not fetched, unless the file is one block.
    """
    later = wanted is not None and wanted[0] > 0
    if later and info.links:
        return sniff.UNKNOWN
    if later or request.method == "HEAD" or (wanted and wanted[1] < sniff.SNIFF_BYTES):
        return sniff.sniff(await _all(content, sniff.SNIFF_BYTES))
    return None


async def _all(content: Content, stop: int | None = None) -> bytes:
    """A small file, or the beginning of one."""
    async with aclosing(read_file(content.blocks, content.cid, 0, stop, root=content.root)) as pieces:
        return b"".join([piece async for piece in pieces])


def _set_disposition(request: web.Request, headers: response_headers.Headers) -> None:
    if not request.query_string:
        return
    if name := request.query.get("filename"):
        kind = "attachment" if request.query.get("download") == "true" else "inline"
        headers["Content-Disposition"] = response_headers.disposition(kind, name)
