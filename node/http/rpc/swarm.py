"""swarm/* and ping: the peers of the open network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import web

from cluster.ports import PeerOffline
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.gojson import Json, sorted_map
from node.http.rpc import answers
from node.http.rpc.answers import argument
from node.parts import Swarm

_PINGS = 10
_MAX_PINGS = 1000
_MAX_ADDRESSES = 8  # of one peer that are tried
_PAUSE = 1.0  # seconds between two pings
_LONGEST = 10.0  # seconds that one may take


async def connect(request: web.Request) -> web.StreamResponse:
    """Dial a multiaddress with /p2p/ on the open network."""
    peer = await _swarm(request).connect(argument(request))
    return answers.one({"Strings": [f"connect {peer} success"]})


async def disconnect(request: web.Request) -> web.StreamResponse:
    """Close the connections of a peer, by its id or a multiaddress with /p2p/; it is not kept connected."""
    swarm, peer = _swarm(request), _peer_of(argument(request))
    if peer not in swarm.peers():
        raise PeerOffline(f"disconnect {peer} failure: not connected to it")
    await swarm.disconnect(peer)
    return answers.one({"Strings": [f"disconnect {peer} success"]})


async def peers(request: web.Request) -> web.StreamResponse:
    """Who is connected."""
    swarm = request.app[PARTS].swarm
    found = sorted(swarm.peers()) if swarm else []
    known = [(peer, next(iter(swarm.addresses(peer)), "") if swarm else "") for peer in found]
    return answers.one(
        {"Peers": [{"Addr": at.removesuffix(f"/p2p/{peer}"), "Peer": peer} for peer, at in known]}
    )


async def addresses(request: web.Request) -> web.StreamResponse:
    """Known addresses of each connected peer."""
    swarm = _swarm(request)
    known = {peer: _without_peer(swarm, peer) for peer in swarm.peers()}
    return answers.one({"Addrs": sorted_map(known)})


async def own_addresses(request: web.Request) -> web.StreamResponse:
    """Where this node listens on the open network; with its peer id where `id` is on."""
    swarm = _swarm(request)
    with_id = query_values.boolean(request.query, "id")
    found: list[Json] = (
        list(swarm.addresses(swarm.self_id)) if with_id else _without_peer(swarm, swarm.self_id)
    )
    return answers.one({"Strings": found})


async def peering_add(request: web.Request) -> web.StreamResponse:
    """Stay connected to the peer of a multiaddress with /p2p/, whether it can be reached now or not."""
    swarm = _swarm(request)
    peer = swarm.keep(argument(request))
    await swarm.remember()
    return answers.one({"ID": peer, "Status": "success"})


async def peering_list(request: web.Request) -> web.StreamResponse:
    """Peers that are kept connected, because `swarm.peers` or a user named them."""
    swarm = _swarm(request)
    kept: list[Json] = [{"ID": peer, "Addrs": _without_peer(swarm, peer)} for peer in sorted(swarm.kept())]
    return answers.one({"Peers": kept})


async def peering_remove(request: web.Request) -> web.StreamResponse:
    """Do not keep a peer connected any more; its connection stays. Raises BadRequest."""
    swarm, peer = _swarm(request), query_values.peer_id(argument(request))
    if peer not in swarm.kept():
        raise BadRequest(f"{peer} is not among the peers that are kept connected")
    swarm.let_go(peer)
    await swarm.remember()
    return answers.one({"ID": peer, "Status": "success"})


async def ping(request: web.Request) -> web.StreamResponse:
    """Round trips to a peer, which is dialled first where it is not connected."""
    swarm, peer = _swarm(request), _peer_of(argument(request))
    count = query_values.integer(request.query, "count", _PINGS)
    if not 0 < count <= _MAX_PINGS:
        raise BadRequest(f"parameter count invalid: 1 to {_MAX_PINGS}")
    if peer == swarm.self_id:
        raise BadRequest("error: can't ping self")
    await _reach(request, swarm, peer)
    return await answers.objects(request, _pings(swarm, peer, count))


async def _reach(request: web.Request, swarm: Swarm, peer: str) -> None:
    """Raises PeerOffline where no address is known, or none answers."""
    if peer in swarm.peers():
        return
    given = [argument(request)] if argument(request).startswith("/") else list(swarm.addresses(peer))
    if not given and (found := await request.app[PARTS].router.peer(peer)) is not None:
        given = [f"{address}/p2p/{peer}" for address in found.addresses]
    trouble = PeerOffline(f"no address of {peer} is known")
    for address in given[:_MAX_ADDRESSES]:
        try:
            await swarm.visit(address)
        except PeerOffline as error:
            trouble = error
        else:
            return
    raise trouble


async def _pings(swarm: Swarm, peer: str, count: int) -> AsyncGenerator[Json]:
    yield {"Success": True, "Time": 0, "Text": f"PING {peer}."}
    total, answered = 0.0, 0
    for number in range(count):
        if number:
            await asyncio.sleep(_PAUSE)
        try:
            async with asyncio.timeout(_LONGEST):
                seconds = await swarm.ping(peer)
        except (PeerOffline, TimeoutError) as error:
            yield {"Success": False, "Time": 0, "Text": f"Ping error: {error or 'no answer in time'}"}
            continue
        total, answered = total + seconds, answered + 1
        yield {"Success": True, "Time": round(seconds * 1e9), "Text": ""}
    if not answered:
        raise PeerOffline(f"ping failed: {peer} did not answer")
    yield {"Success": True, "Time": 0, "Text": f"Average latency: {total / answered * 1000:.2f}ms"}


def _swarm(request: web.Request) -> Swarm:
    swarm = request.app[PARTS].swarm
    if swarm is None:
        raise PeerOffline("the open network is off: this node has no swarm (swarm.enabled, --offline)")
    return swarm


def _peer_of(text: str) -> str:
    """Raises BadRequest."""
    return query_values.peer_id(text.rpartition("/p2p/")[2])


def _without_peer(swarm: Swarm, peer: str) -> list[Json]:
    return [address.removesuffix(f"/p2p/{peer}") for address in swarm.addresses(peer)]
