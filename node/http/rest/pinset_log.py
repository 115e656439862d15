"""The pinset's log over REST: who lacks what of it (/v1/sync), and cutting it (/v1/compact)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from cluster.pinset.tables.log_store import LogSize
from cluster.replication.log_cutter import CutReport
from cluster.replication.pinset_log import CaughtUp, MemberLag
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.rest.json_errors import json_response
from node.http.rest.json_stream import stream_json
from node.jobs.job import JobKind
from node.parts import Parts

_MAX_KEEP = 1 << 20  # MiB


async def lags(request: web.Request) -> web.StreamResponse:
    """A line a member, this node first: what it lacks of each author, as of when."""
    parts = request.app[PARTS]
    return await stream_json(request, _lags(parts))


async def sync(request: web.Request) -> web.StreamResponse:
    """Begin to catch up with every connected member; with `wait` a line a member when it is done."""
    parts = request.app[PARTS]
    if query_values.boolean(request.query, "wait"):
        return await stream_json(request, _caught_up(parts))
    return json_response({"asked": parts.pinset.log.catch_up_soon()})


async def compact(request: web.Request) -> web.StreamResponse:
    """A line a step of cutting, last what is left and for whom; `keep_mib` stay in any case."""
    keep = query_values.integer(request.query, "keep_mib")
    if not 0 <= keep <= _MAX_KEEP:
        raise BadRequest(f"parameter keep_mib invalid: 0 to {_MAX_KEEP}")
    return await stream_json(request, _steps(request.app[PARTS], keep << 20))


async def _lags(parts: Parts) -> AsyncGenerator[Json]:
    for lag in await parts.pinset.log.lags():
        yield _lag(parts, lag)


def _lag(parts: Parts, lag: MemberLag) -> Json:
    behind: list[Json] = [
        {
            "author": one.author,
            "name": parts.pinset.members.name(one.author),
            "batches": one.batches,
            "written": one.written,
        }
        for one in lag.behind
    ]
    return {
        "peer": lag.peer,
        "name": parts.pinset.members.name(lag.peer),
        "seen": lag.seen,
        "behind": behind,
        "forks": [*lag.forks],
    }


async def _caught_up(parts: Parts) -> AsyncGenerator[Json]:
    with parts.jobs.running(JobKind.SYNC, "the pinset's log", "members") as job:
        async with aclosing(parts.pinset.log.catch_up()) as members:
            async for one in members:
                yield _done(parts, one)
                await job.turn()


def _done(parts: Parts, one: CaughtUp) -> Json:
    name = parts.pinset.members.name(one.peer)
    return {"peer": one.peer, "name": name, "seconds": one.seconds, "error": one.error}


async def _steps(parts: Parts, keep_bytes: int) -> AsyncGenerator[Json]:
    async with aclosing(parts.pinset.log.cut(keep_bytes)) as steps:
        async for report in steps:
            yield _step(parts, report)


def _step(parts: Parts, report: CutReport) -> Json:
    kept: list[Json] = [
        {"peer": one.peer, "name": parts.pinset.members.name(one.peer), **_size(one.size)}
        for one in report.kept_for
    ]
    return {"cut": _size(report.cut), "left": _size(report.left), "kept_for": kept}


def _size(size: LogSize) -> dict[str, Json]:
    return {"batches": size.batches, "bytes": size.bytes}
