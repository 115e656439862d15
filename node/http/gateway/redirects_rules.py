"""`_redirects` applied to a path that leads nowhere, on hosts that have an origin of their own."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from urllib.parse import unquote

from aiohttp import web

from blockstore.blocks import BlockSource
from blockstore.errors import NoLink, NotUnixFS
from blockstore.path import ContentPath, clean_segments, resolve
from blockstore.unixfs.reader import read_file, stat_of
from node.http.app_key import PARTS
from node.http.gateway import representation
from node.http.gateway.formats.content import blocks_of, content_at
from node.http.gateway.formats.negotiation import Asked
from node.http.gateway.hosts.redirect import Redirect
from node.http.gateway.paths import redirects
from node.http.gateway.paths.redirects import BadRedirects, RedirectResult, Rule
from node.http.gateway.paths.request import RequestPath
from node.http.gateway.replies import reply
from node.http.media_types import sniff


async def apply_rules(request: web.Request, path: RequestPath, asked: Asked) -> web.StreamResponse | None:
    """What the site's rules say; None where it has none for this path.

    Raises Redirect, BadRedirects, NoLink for a rule that leads nowhere itself, ContentBlocked, and what
    reading raises.
    """
    parts = request.app[PARTS]
    site = path.content.segments[: len(path.content.segments) - len(path.segments)]
    rules = await _rules(blocks_of(request, path), ContentPath(path.content.root, (*site, redirects.NAME)))
    answer = redirects.match(rules, path.segments)
    if answer is None:
        return None
    if answer.status in redirects.MOVED:
        raise Redirect(answer.location(request.rel_url.raw_query_string), answer.status)
    rewritten = _rewritten(path, site, answer)
    parts.denylist.check_path(rewritten.content)
    if answer.status in redirects.PAGES:
        return await _page(request, rewritten, answer.status, asked)
    return await representation.respond(request, rewritten, asked)


async def _rules(blocks: BlockSource, path: ContentPath) -> tuple[Rule, ...]:
    """Empty where the site has no such file. Raises BadRedirects."""
    try:
        found = await resolve(blocks, path)
        async with aclosing(read_file(blocks, found.cid, 0, redirects.MAX_BYTES + 1)) as pieces:
            return redirects.parse(b"".join([piece async for piece in pieces]))
    except NoLink:
        return ()
    except NotUnixFS as error:
        raise BadRedirects(str(error)) from None


def _rewritten(path: RequestPath, site: tuple[str, ...], answer: RedirectResult) -> RequestPath:
    """The path of the file to give; a directory's index is given at once."""
    try:
        own = clean_segments(unquote(answer.to.partition("?")[0], errors="surrogateescape"))
    except ValueError as error:
        raise BadRedirects(f'"{answer.to[:100]}": {error}') from None
    content = ContentPath(path.content.root, site + own)
    return replace(path, content=content, below=own, slash=True, asked_uri=path.uri())


async def _page(request: web.Request, path: RequestPath, status: int, asked: Asked) -> web.StreamResponse:
    """A file as the page of an error."""
    blocks = blocks_of(request, path)
    content = await content_at(path, await resolve(blocks, path.content), blocks, asked)
    headers = content.headers(request, sniff.by_name(path.name) or "text/html", f'"{content.cid}"')
    headers["Content-Length"] = str((await stat_of(content.root)).size)
    response = web.StreamResponse(status=status, headers=headers)
    pieces = read_file(blocks, content.cid, root=content.root)
    return await reply.send(request, response, pieces, blocks.deadline)
