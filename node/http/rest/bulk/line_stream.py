"""A request of lines and its answer, begun when the first group is done: an early error is a plain one."""

from __future__ import annotations

from contextlib import aclosing
from typing import TypeVar

from aiohttp import web

from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.query_values import Query
from node.http.rest.bulk.line_answers import LineAnswers
from node.http.rest.bulk.line_work import LineWork, LineWorker
from node.http.rest.json_stream import sent
from node.http.trailers import TrailerResponse

OWN = frozenset(("skip", "quiet"))
"""Parameters of every route that takes lines."""

_HEADERS = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-cache"}

Item = TypeVar("Item")


async def stream_lines(request: web.Request, work: LineWork[Item]) -> web.StreamResponse:
    """200 with the answers; what ends the work after the first of them is in the trailer.

    Raises BadRequest, ReadOnlyMember, and what ends the work before.
    """
    request.app[PARTS].pinset.check_writable()
    answers = LineAnswers(query_values.boolean(request.query, "quiet"))
    async with aclosing(LineWorker(work, answers, _skip(request.query)).run(request.content)) as pieces:
        first = await anext(pieces)
        response = TrailerResponse(headers=_HEADERS)
        response.force_close()  # Go's client then goes on sending although the answer has begun
        await response.prepare(request)
        await response.write(first)
        response.trailers = await sent(response, pieces)
    await response.write_eof()
    return response


def _skip(query: Query) -> int:
    skip = query_values.integer(query, "skip")
    if skip < 0:
        raise BadRequest("parameter skip invalid: a number of lines")
    return skip
