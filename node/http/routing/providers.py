"""Who has content, and where a peer is: what the cluster knows at once, then what is looked up for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from blockstore.cid import CID
from blockstore.errors import BadCid
from node.http.app_key import PARTS
from node.http.routing import answers
from node.http.routing.filters import ProviderFilter
from node.names.errors import BadName
from node.names.name import IpnsName
from node.parts import Parts
from node.routing.router import Provider, Router

LOOKUPS = web.AppKey("lookups", asyncio.Semaphore)
"""Look-ups for strangers at once; beyond them a request is answered with what the cluster knows."""

MAX_LOOKUPS = 64


async def providers(request: web.Request) -> web.StreamResponse:
    """Providers of a block. Raises BadCid, BadRequest, ContentBlocked."""
    parts, cid = request.app[PARTS], CID.parse(request.match_info["cid"])
    fits, as_stream = ProviderFilter.of(request.query), answers.is_stream(request)
    parts.denylist.check_cid(cid)
    own = [one async for one in _chosen(parts.members_router.providers(cid), fits)]
    if as_stream:
        return await answers.stream(request, _all(request, cid, own, fits))
    if own:  # what members hold needs no look-up
        return answers.whole("Providers", own[: answers.MAX_JSON])
    return await answers.document("Providers", _all(request, cid, own, fits))


async def peers(request: web.Request) -> web.StreamResponse:
    """Addresses of a peer. Raises BadName, BadRequest."""
    peer = _peer_id(request.match_info["peer"])
    fits, as_stream = ProviderFilter.of(request.query), answers.is_stream(request)
    found = _peer(request, peer, fits)
    return await (answers.stream(request, found) if as_stream else answers.document("Peers", found))


def _peer_id(text: str) -> str:
    """In base58, from that form or from a CID of its key, of whatever codec. Raises BadName."""
    try:
        return IpnsName.parse(text).peer_id
    except BadName:
        try:
            return IpnsName(CID.parse(text).multihash).peer_id
        except BadCid:
            raise BadName(f'"{text[:128]}" is not a peer id') from None


async def _chosen(found: AsyncGenerator[Provider], fits: ProviderFilter) -> AsyncGenerator[Provider]:
    async with aclosing(found):
        async for provider in found:
            if (chosen := fits(provider)) is not None:
                yield chosen


async def _all(
    request: web.Request, cid: CID, own: list[Provider], fits: ProviderFilter
) -> AsyncGenerator[Provider]:
    """Those that the cluster knows, then what a look-up finds."""
    for provider in own:
        yield provider
    lookups, known = request.app[LOOKUPS], {provider.peer for provider in own}
    if lookups.locked():
        return
    async with lookups, aclosing(_chosen(request.app[PARTS].router.providers(cid), fits)) as found:
        async for provider in found:
            if provider.peer not in known:
                yield provider


async def _peer(request: web.Request, peer: str, fits: ProviderFilter) -> AsyncGenerator[Provider]:
    provider = await _located(request, request.app[PARTS], peer)
    if provider is not None and (chosen := fits(provider)) is not None:
        yield chosen


async def _located(request: web.Request, parts: Parts, peer: str) -> Provider | None:
    own: Router = parts.members_router
    if (known := await own.peer(peer)) is not None:
        return known
    lookups = request.app[LOOKUPS]
    if lookups.locked():
        return None
    async with lookups:
        return await parts.router.peer(peer)
