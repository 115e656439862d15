"""Names that are followed: what they lead to stays pinned, with the last versions of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from aiohttp import web

from cluster.pin import Wish
from node.http.admin.auditing import note
from node.http.admin.callers import CALLER
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import gojson, query_values
from node.http.go.gojson import Json
from node.http.rest import shapes
from node.http.rest.json_errors import json_response
from node.http.rest.json_stream import stream_json
from node.http.rest.pin_options import check_names, pin_wish
from node.names.name import NamePath
from node.services.follow import MAX_VERSIONS, Follow, FollowedVersion

_OWN = ("path", "versions")


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/follows", follows)
    app.router.add_post("/v1/follows", begin)
    app.router.add_delete("/v1/follows", end)


async def follows(request: web.Request) -> web.StreamResponse:
    """A line a name, its versions newest first."""
    found = await request.app[PARTS].following.follows()

    async def lines() -> AsyncGenerator[Json]:
        for path, versions in sorted(found.items()):
            yield _said(path, versions)

    return await stream_json(request, lines())


async def begin(request: web.Request) -> web.Response:
    """Pin what `path` leads to, with pin options, and follow it: `versions` (1) are kept."""
    _check_caller(request)
    check_names(request.query, _OWN)
    versions = query_values.integer(request.query, "versions", 1)
    if not 0 < versions <= MAX_VERSIONS:
        raise BadRequest(f"parameter versions invalid: 1 to {MAX_VERSIONS}")
    options = {name: value for name, value in request.query.items() if name not in _OWN}
    wish: Wish = pin_wish(options)
    granted = await request.app[PARTS].following.begin(Follow(_path(request), versions), wish)
    note(request, [granted.pin.cid])
    return json_response(shapes.granted(granted))


async def end(request: web.Request) -> web.Response:
    """Let go of all versions of `path`; pins that a user made too stay."""
    _check_caller(request)
    path = _path(request)
    gone = await request.app[PARTS].following.end(path)
    note(request, gone)
    if not gone:
        raise BadRequest(f"{path} is not followed")
    return json_response({"path": str(path), "released": [str(cid) for cid in gone]})


def _check_caller(request: web.Request) -> None:
    if request[CALLER].owner:
        raise BadRequest("names are followed by the cluster itself: a token with an owner cannot change that")


def _path(request: web.Request) -> NamePath:
    """Raises BadName, BadPath."""
    text = request.query.get("path", "")
    return NamePath.parse(text if text.startswith(("/", "ipns:")) else f"/ipns/{text}")


def _said(path: str, versions: Sequence[FollowedVersion]) -> Json:
    pins: list[Json] = [{"cid": str(one.pin.cid), "since": gojson.time(one.since)} for one in versions]
    return {"path": path, "keep": versions[0].follow.versions, "versions": pins}
