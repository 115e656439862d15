"""POST /v1/pins and POST /v1/unpins: a line of JSON a pin, in bodies of any length."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from blockstore.cid import CID
from cluster.errors import ClusterError
from cluster.pin import GrantAsk, GrantResult, Pin
from node.http.admin.auditing import note
from node.http.admin.callers import CALLER
from node.http.app_key import PARTS
from node.http.rest.bulk.json_line import cid_of, json_object
from node.http.rest.bulk.line_answers import LineFailure, LineOutcome, LineResult
from node.http.rest.bulk.line_stream import OWN, stream_lines
from node.http.rest.bulk.line_work import LineWork
from node.http.rest.bulk.pin_changes import changed_fields
from node.http.rest.bulk.pin_lines import PinLines
from node.http.rest.pin_options import check_names


async def pin_lines(request: web.Request) -> web.StreamResponse:
    """The query has the options of all lines; a line's own go before them."""
    check_names(request.query, OWN)
    cluster = request.app[PARTS].cluster
    query = {name: value for name, value in request.query.items() if name not in OWN}
    lines = PinLines(query, owner=request[CALLER].owner)

    async def apply(asks: Sequence[GrantAsk]) -> Sequence[LineOutcome]:
        note(request, (ask.cid for ask in asks))
        return granted(asks, await cluster.grant_many(asks))

    return await stream_lines(request, LineWork(lines.parse, apply))


async def unpin_lines(request: web.Request) -> web.StreamResponse:
    """A caller with an owner lets go for that owner alone."""
    cluster, owner = request.app[PARTS].cluster, request[CALLER].owner

    async def apply(cids: Sequence[CID]) -> Sequence[LineOutcome]:
        note(request, cids)
        found = await (cluster.release_many(cids, owner) if owner else cluster.unpin_many(cids))
        return [_unpinned(cid, pin) for cid, pin in zip(cids, found, strict=True)]

    return await stream_lines(request, LineWork(_only_cid, apply))


def granted(asks: Sequence[GrantAsk], results: Sequence[GrantResult | ClusterError]) -> list[LineOutcome]:
    """What came of the wishes, as answers to their lines."""
    return [_granted(ask.cid, result) for ask, result in zip(asks, results, strict=True)]


def _only_cid(line: bytes) -> CID:
    """A line may say more of the pin, so that one file pins and unpins."""
    return cid_of(json_object(line))


def _granted(cid: CID, result: GrantResult | ClusterError) -> LineOutcome:
    if isinstance(result, ClusterError):
        return LineFailure(cid, result)
    if result.before is None:
        return LineResult(cid, "pinned")
    if result.pin is result.before:
        return LineResult(cid, "unchanged")
    return LineResult(cid, "changed", changed_fields(result.before, result.pin))


def _unpinned(cid: CID, found: Pin | ClusterError) -> LineOutcome:
    return LineFailure(cid, found) if isinstance(found, ClusterError) else LineResult(cid, "unpinned")
