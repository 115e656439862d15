"""/v1/rebalance: what would go from fuller members to emptier ones, and doing it."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from cluster.moving.rebalance_plan import RebalancePlan
from node.http.app_key import PARTS
from node.http.go.gojson import Json
from node.http.rest.json_errors import json_response


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/rebalance", plan)
    app.router.add_post("/v1/rebalance", rebalance)


async def plan(request: web.Request) -> web.Response:
    """What would move now; nothing is changed."""
    return _response(request, await request.app[PARTS].cluster.rebalancing.plan())


async def rebalance(request: web.Request) -> web.Response:
    """Begin -> the plan as it was just before, once it would go on after a restart."""
    parts = request.app[PARTS]
    found = await parts.cluster.rebalancing.begin()
    await parts.jobs.look()
    return _response(request, found)


def _response(request: web.Request, found: RebalancePlan) -> web.Response:
    return json_response(_plan(found, request.app[PARTS].cluster.members.name))


def _plan(found: RebalancePlan, name_of: Callable[[str], str]) -> Json:
    members: list[Json] = [
        {"peer": peer, "name": name_of(peer), "before": found.before.get(peer, 0), "after": after}
        for peer, after in sorted(found.after.items())
    ]
    moves: list[Json] = [
        {
            "from": source,
            "from_name": name_of(source),
            "to": target,
            "to_name": name_of(target) if target else "",
            "pins": tally.pins,
            "bytes": tally.bytes,
            "unsized": tally.unsized,
        }
        for (source, target), tally in sorted(found.moves.items())
    ]
    return {
        "pins": found.pins,
        "fixed": found.fixed,
        "members": members,
        "moves": moves,
        "seconds": round(found.seconds, 1),
    }
