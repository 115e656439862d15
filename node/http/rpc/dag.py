"""dag/import and dag/export: CAR files in and out."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import web

from blockstore.car.importer import import_car
from blockstore.car.writer import export_car
from blockstore.cid import CID
from blockstore.errors import BadPath
from blockstore.fetch_progress import FetchesInFlight
from cluster.errors import ClusterError
from cluster.pin import Wish
from cluster.ports import PinFailed
from node.http.admin.auditing import note
from node.http.admin.callers import CALLER
from node.http.app_key import PARTS
from node.http.content_paths import resolved
from node.http.errors import text_of
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.rpc import answers
from node.http.rpc.answers import argument
from node.http.uploads.parts import parts as upload_parts
from node.jobs.job import JobKind
from node.parts import Parts
from node.services.add import KEPT


async def export(request: web.Request) -> web.StreamResponse:
    """The whole DAG as CAR v1, depth first."""
    parts = request.app[PARTS]
    offline = query_values.boolean(request.query, "offline")
    found, _ = await resolved(parts, argument(request), offline=offline)
    if found.remainder:
        raise BadPath(f"{'/'.join(found.remainder)} is a field inside {found.cid}, not a block")
    blocks = (parts.kept if offline else parts.content)(found.cid, FetchesInFlight())
    pieces = export_car(blocks, found.cid)
    return await answers.octets(request, pieces, "application/vnd.ipld.car")


async def import_(request: web.Request) -> web.StreamResponse:
    """Store CAR files, each whole or not at all, and pin their roots unless `pin-roots=false`."""
    pin = query_values.boolean(request.query, "pin-roots", True)
    stats = query_values.boolean(request.query, "stats")
    return await answers.objects(request, _import(request, pin, stats))


async def _import(request: web.Request, pin: bool, stats: bool) -> AsyncGenerator[Json]:
    """All files are read before the first root is pinned: one DAG may come in several."""
    parts = request.app[PARTS]
    blocks = size = 0
    roots: dict[CID, None] = {}
    with parts.store.protect(), parts.jobs.running(JobKind.IMPORT, "CARs", "bytes") as job:
        async for part in upload_parts(request, job.turn):
            summary = await import_car(parts.blocks, part.body, parts.staging, parts.store.reserve)
            blocks, size = blocks + summary.blocks, size + summary.bytes
            roots |= dict.fromkeys(summary.roots)
        await parts.store.flush()
        note(request, roots if pin else ())
        wish = KEPT._replace(owner=request[CALLER].owner)
        for root in roots if pin else ():
            yield {"Root": {"Cid": {"/": str(root)}, "PinErrorMsg": await _pin(parts, root, wish)}}
    if stats:
        yield {"Stats": {"BlockCount": blocks, "BlockBytesCount": size}}


async def _pin(parts: Parts, root: CID, wish: Wish) -> str:
    """The plain reason why it is not pinned; empty when it is."""
    try:
        await parts.add_service.pin_root(root, wish)
    except (ClusterError, PinFailed) as error:
        return text_of(error)
    return ""
