"""/v1/members/{member}/drain: what draining a member comes to, doing it, and taking that back."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from cluster.interfaces import Duty, Member
from cluster.moving.drain_plan import DrainPlan, Tally
from node.http.app_key import PARTS
from node.http.go.gojson import Json
from node.http.rest.json_errors import json_response

_PATH = "/v1/members/{member}/drain"


def add_routes(app: web.Application) -> None:
    app.router.add_get(_PATH, plan)
    app.router.add_post(_PATH, drain)
    app.router.add_delete(_PATH, undo)


async def plan(request: web.Request) -> web.Response:
    """A member, by peer id or by a name that only one has -> the plan; nothing is changed."""
    return _response(request, await request.app[PARTS].cluster.drains.plan(_member(request)))


async def drain(request: web.Request) -> web.Response:
    """Begin, or let it go on where it was held -> the plan as it was just before."""
    return _response(request, await request.app[PARTS].cluster.drains.drain(_member(request)))


async def undo(request: web.Request) -> web.Response:
    """It takes new pins again -> `{"peer":"…","name":"…","duty":"open"}`."""
    member = _member(request)
    await request.app[PARTS].cluster.drains.undo(member)
    return json_response({"peer": member.peer, "name": member.name, "duty": Duty.OPEN.value})


def _member(request: web.Request) -> Member:
    return request.app[PARTS].cluster.peers.find(request.match_info["member"])


def _response(request: web.Request, found: DrainPlan) -> web.Response:
    members = request.app[PARTS].cluster.members
    return json_response(_plan(found, members.duty(found.peer), members.name))


def _plan(found: DrainPlan, duty: Duty, name_of: Callable[[str], str]) -> Json:
    to: list[Json] = [
        {"peer": peer, "name": name_of(peer), **_tally(tally)} for peer, tally in sorted(found.to.items())
    ]
    return {
        "peer": found.peer,
        "name": found.name,
        "duty": duty.value,
        **_tally(found.held),
        "total": found.total,
        "looked_at": found.looked_at,
        "to": to,
        "let_go": _tally(found.let_go),
        "stay": [{"pins": pins, "reason": why} for why, pins in found.reasons().items()],
        "everywhere": found.everywhere,
        "seconds": round(found.seconds, 1),
    }


def _tally(tally: Tally) -> dict[str, Json]:
    """`unsized` pins are those of which it is not known how many bytes they have."""
    return {"pins": tally.pins, "bytes": tally.bytes, "unsized": tally.unsized}
