"""POST /add?format=car: one CAR with one root, stored whole or not at all, and pinned."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress

from aiohttp import web

from blockstore.car.importer import CarSummary, import_car
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BadBlock, BadCar, NotUnixFS
from blockstore.store import Blockstore
from blockstore.unixfs.decoded import Outline
from blockstore.unixfs.importing.ingest import ImportedEntry
from cluster.pin import Wish
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.uploads.parts import parts as upload_parts
from node.services.add import AddResult
from node.services.paced_sink import Turn


async def add_car(request: web.Request, wish: Wish | None, turn: Turn) -> AsyncGenerator[AddResult]:
    """Its root, with the bytes of all blocks and the size of the file, if it is one.

    Pinned unless `wish` is None. Raises BadRequest, BadCar, StorageFull, PinFailed.
    """
    parts = request.app[PARTS]
    with parts.store.protect():
        name, summary = await _stored(request, turn)
        (root,) = summary.roots
        size = await _file_size(parts.store, root)
        added = ImportedEntry(name or str(root), root, size, "file", summary.bytes)
        if wish is None:
            await parts.store.flush()
        yield AddResult(added, await parts.add_service.pin_root(root, wish) if wish else None)


async def _file_size(store: Blockstore, root: CID) -> int:
    """What a UnixFS root says, as upstream tells it; 0 for all else, and where the CAR lacks it."""
    (block,) = await store.get_many([root])
    if block is None or root.codec != DAG_PB:
        return 0
    with suppress(NotUnixFS, BadBlock):
        return Outline.of(block).data.filesize or 0
    return 0


async def _stored(request: web.Request, turn: Turn) -> tuple[str, CarSummary]:
    """The upload's one CAR."""
    parts = request.app[PARTS]
    found: tuple[str, CarSummary] | None = None
    async for part in upload_parts(request, turn):
        if found is not None:
            raise BadRequest("a CAR upload takes exactly one file")
        found = part.path, await import_car(parts.blocks, part.body, parts.staging, parts.store.reserve)
        if len(found[1].roots) != 1:
            raise BadCar(f"the CAR has {len(found[1].roots)} roots: exactly one can be added")
    if found is None:
        raise BadRequest("the upload holds no files")
    return found
