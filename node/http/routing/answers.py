"""Answers of Delegated Routing V1: one JSON document, or a line a record as they are found (NDJSON)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from email.utils import formatdate
from functools import lru_cache

from aiohttp import web
from multidict import CIMultiDict

from node.http.errors import BadRequest
from node.routing.router import Provider

JSON = "application/json"
NDJSON = "application/x-ndjson"
METHODS = "GET, HEAD, PUT, OPTIONS"

LONGEST = 20.0
"""Seconds that an answer is looked for: less than clients wait, which would get nothing then."""

MAX_JSON = 100
MAX_STREAMED = 1000

# As boxo 0.43: what was found is cached for minutes, nothing for seconds: a new provider is seen soon.
_FOUND = "public, max-age=300, stale-while-revalidate=600, stale-if-error=172800"
NOTHING_FOUND = "public, max-age=15, stale-while-revalidate=60, stale-if-error=3600"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, X-Chunked-Output, X-Stream-Output",
}


def headers(content_type: str, cache: str) -> CIMultiDict[str]:
    """What every answer carries."""
    return CIMultiDict(
        {**_CORS, "Content-Type": content_type, "Cache-Control": cache, "Vary": "Accept",
         "Last-Modified": _date(int(time.time()))}
    )  # fmt: skip


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def line_of_text(status: int, text: str, cache: str = "no-store") -> web.Response:
    """An error, or why there is nothing."""
    body = f"{text}\n".encode(errors="replace")
    made = headers("text/plain; charset=utf-8", cache)
    made["X-Content-Type-Options"] = "nosniff"
    return web.Response(status=status, body=body, headers=made)


def preflight() -> web.Response:
    """For browsers (Fetch standard, CORS)."""
    return web.Response(status=200, headers={**_CORS, "Allow": METHODS})


def is_stream(request: web.Request) -> bool:
    """Whether NDJSON is asked for, which counts before JSON. Raises BadRequest for neither."""
    if not (accepted := ",".join(request.headers.getall("Accept", ()))):
        return False
    kinds = {entry.partition(";")[0].strip().lower() for entry in accepted.split(",")}
    if NDJSON in kinds:
        return True
    if kinds.isdisjoint({JSON, "application/*", "*/*"}):
        raise BadRequest(f"Accept names neither {JSON} nor {NDJSON}")
    return False


async def document(name: str, found: AsyncGenerator[Provider]) -> web.Response:
    """All that is found within the time, at most MAX_JSON, as a list of that name."""
    records: list[Provider] = []
    async with aclosing(found):
        try:
            async with asyncio.timeout(LONGEST):
                async for provider in found:
                    records.append(provider)
                    if len(records) == MAX_JSON:
                        break
        except TimeoutError:
            pass  # what was found so far is the answer
    return whole(name, records)


def whole(name: str, records: Sequence[Provider]) -> web.Response:
    """That many."""
    body = f'{{"{name}":[{",".join(map(_record, records))}]}}'
    return web.Response(body=body.encode(), headers=headers(JSON, _FOUND if records else NOTHING_FOUND))


async def stream(request: web.Request, found: AsyncGenerator[Provider]) -> web.StreamResponse:
    """Each when it is found, at most MAX_STREAMED, within the time."""
    async with aclosing(found):
        try:
            async with asyncio.timeout(LONGEST):
                return await _streamed(request, found)
        except TimeoutError:
            return _cut(request)


async def _streamed(request: web.Request, found: AsyncGenerator[Provider]) -> web.StreamResponse:
    first = await anext(found, None)
    if first is None:
        return web.Response(headers=headers(NDJSON, NOTHING_FOUND))
    response = request[_STREAM] = web.StreamResponse(headers=headers(NDJSON, _FOUND))
    await response.prepare(request)
    await response.write(_line(first))
    count = 1
    async for provider in found:
        await response.write(_line(provider))
        if (count := count + 1) == MAX_STREAMED:
            break
    return response


_STREAM = web.RequestKey("stream", web.StreamResponse)


def _cut(request: web.Request) -> web.StreamResponse:
    """What was sent until then is the whole answer."""
    begun = request.get(_STREAM)
    return web.Response(headers=headers(NDJSON, NOTHING_FOUND)) if begun is None else begun


def _line(provider: Provider) -> bytes:
    return f"{_record(provider)}\n".encode()


def _record(provider: Provider) -> str:
    """The schema `peer`; addresses by a relay come last."""
    made: dict[str, object] = {"Schema": "peer", "ID": provider.peer}
    made["Addrs"] = sorted(provider.addresses, key=_is_relayed)
    if provider.protocols:
        made["Protocols"] = provider.protocols
    return json.dumps(made, separators=(",", ":"))


def _is_relayed(address: str) -> bool:
    return "/p2p-circuit" in address
