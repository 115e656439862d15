"""POST /add: an upload becomes pinned content, answered while it comes in (ipfs-cluster's REST API).

The wish is durable when the lines of the roots are written: they are the last ones. Kubo's import options
are taken too, by Kubo's names, and `profile` (IPIP-499).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

from aiohttp import web

from blockstore.errors import BadEntry
from blockstore.unixfs.importing.option_text import PARAMETERS, from_query
from blockstore.unixfs.importing.options import ImportOptions
from cluster.pin import GrantResult, PinMode, Wish
from node.http.admin.auditing import note
from node.http.admin.callers import CALLER
from node.http.app_key import PARTS
from node.http.errors import EXPECTED, BadRequest, status_of, text_of
from node.http.go import gojson, query_values
from node.http.go.gojson import Json
from node.http.rest import shapes
from node.http.rest.add_car import add_car
from node.http.rest.json_errors import error_response, json_response
from node.http.rest.pin_options import check_names, pin_wish
from node.http.trailers import TrailerResponse
from node.http.uploads.entries import entries, expected_bytes
from node.http.uploads.multipart import boundary_of
from node.jobs.job import JobKind
from node.parts import Parts
from node.services.add import AddResult

PROFILE = "unixfs-v0-2015"  # what ipfs-cluster and Kubo import with when nothing is said
_HEADERS = {"Cache-Control": "no-cache", "Content-Type": "application/json"}
_PIN_MODES = {mode.value for mode in PinMode}
# Of those some are for clients alone, who send them all the same.
_SWITCHES = (
    "stream-channels", "progress", "no-pin", "local", "recursive", "hidden", "quiet", "quieter", "silent",
    "stream",
)  # fmt: skip


async def add(request: web.Request) -> web.StreamResponse:
    """Lines while it goes on, or with `stream-channels=false` one array at the end."""
    boundary_of(request.headers.get("Content-Type", ""))
    for name in _SWITCHES:
        query_values.boolean(
            request.query, name
        )  # those that are read later, and those that clients act upon
    imports, wish = _import_options(request.query), _wish(request.query, request[CALLER].owner)
    if wish is not None:
        request.app[PARTS].cluster.check(wish)
    if not query_values.boolean(request.query, "stream-channels", True):
        return await _at_once(request, imports, wish)
    response = TrailerResponse(headers={**_HEADERS, "X-Chunked-Output": "1"})
    response.force_close()  # Go's client then goes on sending although the answer has begun
    await response.prepare(request)
    try:
        await _stream(request, response, imports, wish)
    except EXPECTED as error:
        response.trailers = (text_of(error),)
    await response.write_eof()
    return response


def _import_options(query: Mapping[str, str]) -> ImportOptions:
    """`mode` is a pin's there (recursive, direct) and a file's in Kubo: the value says which is meant."""
    if query.get("format", "") not in ("", "unixfs", "car"):
        raise BadRequest("format parameter is invalid")
    if query.get("format") == "car" and query_values.boolean(query, "wrap-with-directory"):
        raise BadRequest("cannot wrap a CAR file upload")
    return from_query(
        {name: value for name, value in query.items() if name != "mode" or value not in _PIN_MODES}, PROFILE
    )


def _wish(query: Mapping[str, str], owner: str) -> Wish | None:
    """What is added is pinned recursively, as a pin of its own; None where it is only stored."""
    check_names(query, {*PARAMETERS, *_SWITCHES, "format"})
    if query.get("mode") == PinMode.DIRECT:
        raise BadRequest("parameter mode invalid: what is added is pinned recursively")
    if query.get("pin-update"):
        raise BadRequest("parameter pin-update is for pins, not for adding")
    wish = pin_wish({name: value for name, value in query.items() if name != "mode"})._replace(owner=owner)
    if query_values.boolean(query, "no-pin"):
        return None
    return wish if wish.named is None else wish._replace(named=wish.named | {"mode"})


async def _stream(
    request: web.Request, response: web.StreamResponse, imports: ImportOptions, wish: Wish | None
) -> None:
    wanted, line = query_values.boolean(request.query, "progress"), _lines_of(request, wish)
    async with (
        _reporting(response, wanted) as latest,
        aclosing(_added(request, imports, wish, latest)) as results,
    ):
        async for result in results:
            await response.write(gojson.encode(line(result)))


async def _at_once(request: web.Request, imports: ImportOptions, wish: Wish | None) -> web.Response:
    lines, line = list[Json](), _lines_of(request, wish)
    try:
        async with aclosing(_added(request, imports, wish, None)) as results:
            async for result in results:
                lines.append(line(result))
    except EXPECTED as error:
        response = error_response(status_of(error), text_of(error))
    else:
        response = json_response(lines or None)
    response.headers["Cache-Control"] = "no-cache"
    response.force_close()
    return response


async def _added(
    request: web.Request, imports: ImportOptions, wish: Wish | None, latest: _Latest | None
) -> AsyncGenerator[AddResult]:
    nothing = True
    async with aclosing(_results(request, imports, wish, latest)) as results:
        async for result in results:
            nothing = False
            if result.granted is not None:
                note(request, [result.added.cid])
            yield result
    if nothing:
        raise BadEntry("the upload holds no files")


async def _results(
    request: web.Request, imports: ImportOptions, wish: Wish | None, latest: _Latest | None
) -> AsyncGenerator[AddResult]:
    """The upload is a job: what has come counts, and it is paused by not being read."""
    parts, expected = request.app[PARTS], expected_bytes(request)
    progress = latest.put if latest is not None else None
    with (
        parts.jobs.running(JobKind.ADD, request.query.get("name") or "an upload", "bytes") as job,
        parts.handed_files.claiming() as claim,
    ):
        if expected:
            job.expect(expected)
        if request.query.get("format") == "car":
            added = add_car(request, wish, job.turn)
        else:
            files = entries(request, claim)
            added = parts.add_service.add(files, imports, wish, progress, expected, job.turn)
        async with aclosing(added) as results:
            async for result in results:
                yield result


def _lines_of(request: web.Request, wish: Wish | None) -> Callable[[AddResult], Json]:
    """What becomes of results."""
    is_car = request.query.get("format") == "car"
    return partial(_line, request.app[PARTS], wish, is_car)


def _line(parts: Parts, wish: Wish | None, is_car: bool, result: AddResult) -> Json:
    added, granted = result.added, result.granted
    received = added.bytes if is_car else 0
    holders = _holders(parts, granted)
    line = shapes.added(added.name, str(added.cid), size=added.size, received=received, allocations=holders)
    own = granted is not None and wish is not None and wish.named is not None
    return {**line, "pin": shapes.granted(granted)} if own and granted else line


def _holders(parts: Parts, granted: GrantResult | None) -> Sequence[str]:
    """Of a pinned root, the members that are to hold it; of all else this node, where its blocks are now."""
    if granted is None:
        return [parts.peer]
    if granted.pin.everywhere:
        return sorted(parts.cluster.members.peers())
    return granted.pin.allocations


class _Latest:
    """How far the present file is: only the newest counts, so that a slow reader costs no memory."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._value = ("", 0)

    def put(self, name: str, received: int) -> None:
        self._value = (name, received)
        self._news.set()

    async def get(self) -> tuple[str, int]:
        await self._news.wait()
        self._news.clear()
        return self._value


@asynccontextmanager
async def _reporting(response: web.StreamResponse, wanted: bool) -> AsyncIterator[_Latest | None]:
    """Progress lines between the others, as long as the block lasts."""
    if not wanted:
        yield None
        return
    latest = _Latest()
    reporter = asyncio.create_task(_report(response, latest))
    try:
        yield latest
    finally:
        reporter.cancel()
        await asyncio.wait([reporter])


async def _report(response: web.StreamResponse, latest: _Latest) -> None:
    while True:
        name, received = await latest.get()
        await response.write(gojson.encode(shapes.added(name, None, received=received)))
