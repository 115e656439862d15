"""routing/*: who has content, where peers are, and records of names, as the events that Kubo streams."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from enum import IntEnum

from aiohttp import web

from blockstore.cid import CID
from blockstore.errors import BlockNotFound
from cluster.ports import PeerOffline
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.rpc import answers
from node.http.rpc.answers import HEADERS, argument, arguments
from node.http.rpc.uploaded_file import uploaded_file
from node.names.ipns_record import MAX_BYTES
from node.names.name import IpnsName
from node.routing.router import Provider

_PROVIDERS = 20
_MAX_PROVIDERS = 1000
_IPNS = "/ipns/"


class _Event(IntEnum):
    """Of go-libp2p's `routing.QueryEventType`, those that are sent."""

    FINAL_PEER = 2
    PROVIDER = 4
    VALUE = 5


async def find_providers(request: web.Request) -> web.StreamResponse:
    """A line a provider, as they are found; none is an empty answer."""
    cid = CID.parse(argument(request))
    most = query_values.integer(request.query, "num-providers", _PROVIDERS)
    if not 0 < most <= _MAX_PROVIDERS:
        raise BadRequest(f"parameter num-providers invalid: 1 to {_MAX_PROVIDERS}")
    return await answers.objects(request, _providers(request, cid, most))


async def find_peer(request: web.Request) -> web.StreamResponse:
    """The addresses of a peer. Raises PeerOffline."""
    peer = query_values.peer_id(argument(request))
    found = await request.app[PARTS].router.peer(peer)
    if found is None:
        raise PeerOffline(f"routing: not found: no router knows where {peer} is")
    return answers.one(_said(_Event.FINAL_PEER, (found,)))


async def provide(request: web.Request) -> web.StreamResponse:
    """Tell the routers that this node has these blocks. Raises BlockNotFound, NotProvided."""
    parts, cids = request.app[PARTS], [CID.parse(text) for text in arguments(request)]
    if not cids:
        raise BadRequest('argument "key" is required')
    for cid in cids:
        if not await parts.store.has(cid):
            raise BlockNotFound(cid, "cannot be provided: it is not here")

    for cid in cids:
        await parts.router.provide(cid)
    return web.Response(headers={**HEADERS, "Content-Type": "application/json"})


async def get(request: web.Request) -> web.StreamResponse:
    """The newest record of `/ipns/<name>`, in base64. Raises NameNotFound."""
    kept = await request.app[PARTS].names.record(_name(argument(request)))
    return answers.one(_event(_Event.VALUE, extra=base64.b64encode(kept.record.raw).decode()))


async def put(request: web.Request) -> web.StreamResponse:
    """Keep the uploaded record of `/ipns/<name>`, and give it to members and routers.

    Raises BadRecord, OlderRecord.
    """
    parts, name = request.app[PARTS], _name(argument(request))
    await parts.publishing.keep(name, await uploaded_file(request, "record", MAX_BYTES))
    return answers.one(_event(_Event.VALUE, peer=parts.peer))


async def _providers(request: web.Request, cid: CID, most: int) -> AsyncGenerator[Json]:
    count = 0
    async with aclosing(request.app[PARTS].router.providers(cid)) as found:
        async for provider in found:
            yield _said(_Event.PROVIDER, (provider,))
            if (count := count + 1) == most:
                return


def _name(key: str) -> IpnsName:
    if not key.startswith(_IPNS):
        raise BadRequest(f'"{key[:200]}" is no key of a record: {_IPNS}NAME is')
    return IpnsName.parse(key.removeprefix(_IPNS))


def _said(kind: _Event, peers: Sequence[Provider]) -> Json:
    responses: list[Json] = [{"Addrs": list(one.addresses), "ID": one.peer} for one in peers]
    return _event(kind, responses=responses)


def _event(kind: _Event, *, peer: str = "", responses: Sequence[Json] | None = None, extra: str = "") -> Json:
    return {"Extra": extra, "ID": peer, "Responses": responses, "Type": int(kind)}
