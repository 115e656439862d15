"""A request of lines and its answer, begun when the first group is done: an early error is a plain one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from aiohttp import web

from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.query_values import Query
from node.http.rest.bulk.line_answers import LineAnswers, LineOutcome
from node.http.rest.bulk.line_work import LineWork, LineWorker
from node.http.rest.json_stream import sent
from node.http.trailers import TrailerResponse
from node.jobs.job import JobKind
from node.jobs.running_job import RunningJob

OWN = frozenset(("skip", "quiet"))
"""Parameters of every route that takes lines."""

_HEADERS = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-cache"}

Item = TypeVar("Item")


async def stream_lines(request: web.Request, work: LineWork[Item]) -> web.StreamResponse:
    """200 with the answers; what ends the work after the first of them is in the trailer.

    Raises BadRequest, ReadOnlyMember, and what ends the work before.
    """
    request.app[PARTS].pinset.check_writable()
    answers, jobs = LineAnswers(query_values.boolean(request.query, "quiet")), request.app[PARTS].jobs
    with jobs.running(JobKind.IMPORT, f"lines to {request.path}", "lines") as job:
        worker = LineWorker(_counted(work, job), answers, _skip(request.query))
        return await _answered(request, worker)


async def _answered(request: web.Request, worker: LineWorker[Item]) -> web.StreamResponse:
    async with aclosing(worker.run(request.content)) as pieces:
        first = await anext(pieces)
        response = TrailerResponse(headers=_HEADERS)
        response.force_close()  # Go's client then goes on sending although the answer has begun
        await response.prepare(request)
        await response.write(first)
        response.trailers = await sent(response, pieces)
    await response.write_eof()
    return response


def _counted(work: LineWork[Item], job: RunningJob) -> LineWork[Item]:
    """The same, a group of lines each turn of the job."""

    async def apply(items: Sequence[Item]) -> Sequence[LineOutcome]:
        await job.turn(len(items))
        return await work.apply(items)

    return replace(work, apply=apply)


def _skip(query: Query) -> int:
    skip = query_values.integer(query, "skip")
    if skip < 0:
        raise BadRequest("parameter skip invalid: a number of lines")
    return skip
