"""POST /v1/cars: any number of CARs; every one is read before the first root is pinned."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import web

from blockstore.car.importer import import_car
from blockstore.cid import CID
from blockstore.errors import BlockstoreError
from cluster.errors import ClusterError, NotPinned
from cluster.pin import PinMode, Wish
from cluster.ports import PinFailed
from node.http.admin.auditing import note
from node.http.admin.callers import CALLER
from node.http.app_key import PARTS
from node.http.errors import BadRequest, text_of
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.rest import shapes
from node.http.rest.json_stream import stream_json
from node.http.rest.pin_options import check_names, pin_wish
from node.http.uploads.entries import expected_bytes
from node.http.uploads.multipart import boundary_of
from node.http.uploads.parts import Part
from node.http.uploads.parts import parts as upload_parts
from node.jobs.job import JobKind
from node.parts import Parts


async def cars(request: web.Request) -> web.StreamResponse:
    """A line a file, each stored whole or not at all; then a line a root, each pinned or not and why."""
    boundary_of(request.headers.get("Content-Type", ""))
    check_names(request.query, ("no-pin",))
    if request.query.get("mode") == PinMode.DIRECT or request.query.get("pin-update"):
        raise BadRequest("roots of CARs are pinned recursively, as pins of their own")
    wish = pin_wish(request.query)._replace(owner=request[CALLER].owner)
    request.app[PARTS].cluster.check(wish)
    if wish.named is not None:
        wish = wish._replace(named=wish.named | {"mode"})
    return await stream_json(
        request, _lines(request, None if query_values.boolean(request.query, "no-pin") else wish)
    )


async def _lines(request: web.Request, wish: Wish | None) -> AsyncGenerator[Json]:
    parts = request.app[PARTS]
    roots: dict[CID, None] = {}
    with parts.store.protect(), parts.jobs.running(JobKind.IMPORT, "CARs", "bytes") as job:
        if expected := expected_bytes(request):
            job.expect(expected)
        async for part in upload_parts(request, job.turn):
            yield await _stored(parts, part, roots)
        await parts.store.flush()
        missing = set(await parts.store.missing(list(roots)))
        note(request, roots)
        for root in roots:
            yield {"root": str(root), "here": root not in missing, **await _pinned(parts, root, wish)}


async def _stored(parts: Parts, part: Part, roots: dict[CID, None]) -> Json:
    try:
        summary = await import_car(parts.blocks, part.body, parts.staging, parts.store.reserve)
    except BlockstoreError as error:
        return {"file": part.path, "error": text_of(error)}
    roots |= dict.fromkeys(summary.roots)
    found = [str(root) for root in summary.roots]
    return {"file": part.path, "roots": found, "blocks": summary.blocks, "bytes": summary.bytes}


async def _pinned(parts: Parts, root: CID, wish: Wish | None) -> dict[str, Json]:
    """The pin as it is now; where it failed, the reason, and the pin that is there all the same, if any."""
    if wish is None:
        return {}
    try:
        granted = await parts.add_service.pin_root(root, wish)
    except (ClusterError, PinFailed) as error:
        return {"error": text_of(error), "pin": await _as_it_is(parts, root)}
    return {"pinned": granted.pin.held_by(parts.peer), "pin": shapes.granted(granted)}


async def _as_it_is(parts: Parts, root: CID) -> Json:
    try:
        return shapes.pin_as_stored(await parts.cluster.get_pin(root))
    except NotPinned:
        return None
