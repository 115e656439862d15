"""The cluster REST API as ipfs-cluster's clients know it; handlers translate, decisions live in cluster/.

Routes that are not built are absent: they answer 404 like any unknown path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import unquote

from aiohttp import web

from blockstore.cid import CID
from blockstore.prefetch.one_ahead import one_ahead
from cluster.calls.global_page import GlobalPage
from cluster.pin import GlobalPinInfo, Wish
from cluster.tracking.status import LISTED_AT_ONCE
from node.http.admin.auditing import note
from node.http.admin.browser_headers import nothing_runs
from node.http.admin.callers import ALWAYS, CALLER, CALLERS, Callers
from node.http.admin.cors import Cors
from node.http.app_key import PARTS
from node.http.connection import mark_busy
from node.http.content_paths import resolved_cid
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.request_meter import METER, RequestMeter, metered
from node.http.rest import audit, health, peers, probes, shapes, status_filter, tokens, v1
from node.http.rest.access import CORS, known_callers_only, written_down
from node.http.rest.add import add
from node.http.rest.gc import collect_members
from node.http.rest.json_errors import errors_as_json, json_response
from node.http.rest.json_stream import stream_json, stream_lines
from node.http.rest.openapi import document
from node.http.rest.parameters import known_parameters
from node.http.rest.pin_list import allocations
from node.http.rest.pin_options import check_names, pin_wish
from node.http.rest.shapes import PingOf
from node.http.rest.status_lines import pieces
from node.parts import Parts

MAX_CIDS = 10_000  # in one `?cids=`


def cluster_app(parts: Parts, *, local: bool = True) -> web.Application:
    """All routes of the listener `api`; `local`: only this machine reaches it."""
    before = [
        metered,
        mark_busy,
        written_down,
        known_callers_only,
        errors_as_json,
        known_parameters,
    ]
    app = web.Application(middlewares=before)
    api = parts.config.api
    app[CALLERS] = Callers(parts.credentials, api.host, always=api.auth == ALWAYS, local=local)
    app[CORS] = Cors(api.cors_origins)
    app.on_response_prepare.extend((nothing_runs, app[CORS].mark))
    app[PARTS] = parts
    app[METER] = RequestMeter()
    peers.add_routes(app)
    health.add_routes(app)
    probes.add_routes(app)
    app.router.add_post("/add", add)
    app.router.add_get("/allocations", allocations)
    app.router.add_get("/allocations/{cid}", allocation)
    app.router.add_get("/pins", pins)
    app.router.add_post("/pins/recover", recover_all)
    app.router.add_get("/pins/{cid}", status)
    app.router.add_post("/pins/{cid}", pin)
    app.router.add_delete("/pins/{cid}", unpin)
    app.router.add_post("/pins/{cid}/recover", recover)
    app.router.add_post("/pins/{namespace:ipfs|ipns|ipld}/{path:.+}", pin_path)
    app.router.add_delete("/pins/{namespace:ipfs|ipns|ipld}/{path:.+}", unpin_path)
    app.router.add_post("/ipfs/gc", collect_members)
    v1.add_routes(app)
    document.add_routes(app)
    tokens.add_routes(app)
    audit.add_routes(app)
    return app


async def allocation(request: web.Request) -> web.Response:
    """The pin of that CID, as stored."""
    cid = query_values.cid(request.match_info["cid"])
    return json_response(shapes.pin_as_stored(await request.app[PARTS].cluster.get_pin(cid)))


async def pins(request: web.Request) -> web.StreamResponse:
    """A line a pin: its status on every member, or on this one."""
    cluster, query = request.app[PARTS].cluster, request.query
    wanted = status_filter.status_filter(query.get("filter", ""))
    cids, local = _cids(query.get("cids", "")), _local(request)
    if cids is None and not wanted <= LISTED_AT_ONCE:
        return await stream_lines(request, _lines(cluster.statuses.pages(wanted, local), cluster.ping_of))
    infos = cluster.statuses.all(wanted, local) if cids is None else cluster.statuses.of(cids, local)
    return await stream_json(
        request, (shapes.status(info, time.time(), cluster.ping_of) async for info in infos)
    )


async def _lines(pages: AsyncGenerator[GlobalPage], ping_of: PingOf) -> AsyncGenerator[bytes]:
    """One page is read while lines are made of the one before; in between all else has its turn."""
    async with aclosing(one_ahead(pages)) as ahead:
        async for page in ahead:
            for piece in pieces(page, time.time(), ping_of):
                yield piece
                await asyncio.sleep(0)


def _cids(text: str) -> list[CID] | None:
    """None where none are named: all of them are meant."""
    texts = query_values.comma_list(text)
    if len(texts) > MAX_CIDS or (text and not texts):
        raise BadRequest(f"parameter cids invalid: 1 to {MAX_CIDS} CIDs with commas between")
    return [query_values.cid(one) for one in texts] or None


async def status(request: web.Request) -> web.Response:
    """Of that CID on every member; `unpinned` where it is not pinned."""
    cid = query_values.cid(request.match_info["cid"])
    info = await request.app[PARTS].cluster.statuses.one(cid, _local(request))
    return _status_response(request, info)


def _status_response(request: web.Request, info: GlobalPinInfo) -> web.Response:
    return json_response(shapes.status(info, time.time(), request.app[PARTS].cluster.ping_of))


async def pin(request: web.Request) -> web.Response:
    """Pin that CID, or change its pin; it is fetched in the background."""
    return await _granted(request, query_values.cid(request.match_info["cid"]), _wish(request))


async def unpin(request: web.Request) -> web.Response:
    """Remove that pin; the pin as it was."""
    return await _unpinned(request, query_values.cid(request.match_info["cid"]))


async def pin_path(request: web.Request) -> web.Response:
    """Pin what a content path leads to."""
    wish = _wish(request)
    return await _granted(request, await resolved_cid(request.app[PARTS], _content_path(request)), wish)


def _wish(request: web.Request) -> Wish:
    check_names(request.query, ("dry-run",))
    return pin_wish(request.query)._replace(owner=request[CALLER].owner)


async def _granted(request: web.Request, cid: CID, wish: Wish) -> web.Response:
    note(request, [cid])
    cluster = request.app[PARTS].cluster
    if query_values.boolean(request.query, "dry-run"):
        return json_response(shapes.plan(await cluster.plan(cid, wish), cluster.members.name))
    granted = await cluster.grant(cid, wish)
    if wish.named is None:
        return json_response(shapes.pin_as_asked(granted.pin))
    return json_response(shapes.granted(granted))


async def unpin_path(request: web.Request) -> web.Response:
    """Remove the pin of what a content path leads to; the pin as it was."""
    return await _unpinned(request, await resolved_cid(request.app[PARTS], _content_path(request)))


async def _unpinned(request: web.Request, cid: CID) -> web.Response:
    """A caller with an owner lets go for that owner alone."""
    note(request, [cid])
    cluster, owner = request.app[PARTS].cluster, request[CALLER].owner
    pin = await (cluster.release(cid, owner) if owner else cluster.unpin(cid))
    return json_response(shapes.pin_as_stored(pin))


async def recover(request: web.Request) -> web.Response:
    """Try again what failed of that CID; its status after that."""
    cid = query_values.cid(request.match_info["cid"])
    info = await request.app[PARTS].cluster.statuses.recover(cid, _local(request))
    return _status_response(request, info)


async def recover_all(request: web.Request) -> web.StreamResponse:
    """Try again all that failed: a line a pin."""
    cluster = request.app[PARTS].cluster
    infos = cluster.statuses.recover_all(_local(request))
    return await stream_json(
        request, (shapes.status(info, time.time(), cluster.ping_of) async for info in infos)
    )


def _local(request: web.Request) -> bool:
    return query_values.boolean(request.query, "local")


def _content_path(request: web.Request) -> str:
    """Of `/pins/ipfs/<cid>/a/b`. Names are bytes, which the router's decoder would not keep."""
    return unquote(request.rel_url.raw_path.removeprefix("/pins"), errors="surrogateescape")
