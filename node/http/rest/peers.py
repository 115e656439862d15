"""This node and the members: who they are, and who is one no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from cluster.calls.node_info import NodeInfo
from cluster.ports import PeerOffline
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.rest import shapes
from node.http.rest.json_errors import JSON_HEADERS, json_response
from node.http.rest.json_stream import stream_json

_MAX_BODY = 4096  # bytes


def add_routes(app: web.Application) -> None:
    app.router.add_get("/id", identity)
    app.router.add_get("/peers", peers)
    app.router.add_post("/peers", ask_peer)
    app.router.add_delete("/peers/{peer}", remove_peer)


async def identity(request: web.Request) -> web.Response:
    """This member."""
    return json_response(shapes.peer_id(request.app[PARTS].cluster.peers.us()))


async def peers(request: web.Request) -> web.StreamResponse:
    """A line a member; of one that does not answer, why."""
    members = request.app[PARTS].cluster.peers.all()
    return await stream_json(request, (shapes.peer_id(node) async for node in members))


async def remove_peer(request: web.Request) -> web.Response:
    """That member is none any more; what it held is placed elsewhere."""
    await request.app[PARTS].cluster.peers.remove(query_values.peer_id(request.match_info["peer"]))
    return web.Response(status=204, headers=JSON_HEADERS)


async def ask_peer(request: web.Request) -> web.Response:
    """`{"peer_id":…}` -> what that peer says of itself.

    As upstream, this makes it no member: an invitation does.
    """
    peer = _peer_in(await _body(request))
    node = await request.app[PARTS].cluster.peers.one(peer)
    if node.error:
        raise PeerOffline(f"{peer}: {node.error}")
    return json_response(shapes.peer_id(_with_itself(node)))


async def _body(request: web.Request) -> dict[str, object]:
    data = b""
    try:
        async for piece in request.content.iter_any():
            data += piece
            if len(data) > _MAX_BODY:
                raise ValueError
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise BadRequest("error decoding request body") from None
    if not isinstance(body, dict):
        raise BadRequest("error decoding request body")
    return body


def _peer_in(body: Mapping[str, object]) -> str:
    text = body.get("peer_id")
    try:
        return query_values.peer_id(text if isinstance(text, str) else "")
    except BadRequest:
        raise BadRequest("error decoding peer_id") from None


def _with_itself(node: NodeInfo) -> NodeInfo:
    """A node that is alone may not know itself as a member."""
    return replace(node, cluster_peers=tuple(sorted({*node.cluster_peers, node.id})))
