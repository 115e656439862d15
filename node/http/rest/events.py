"""/v1/events: what happens here, as server-sent events (WHATWG HTML, section 9.2), from any id that is kept.

A listener reads from the node's buffer at its own pace; one that falls out of it, or takes nothing, is let
go, and is told what it missed when it comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from node.events.event import BadEventId, Event, EventId, EventKind
from node.events.feed import EventFeed, Gone, TooManyListeners
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.query_values import Query
from node.http.request_meter import ENDLESS
from node.http.rest.json_errors import error_response
from node.http.slow_clients import reset

MAX_CIDS = 100
"""That one listener may name."""

OLDEST = "oldest"
"""The value of `since` that stands for all that is kept."""

_OF_CIDS = frozenset((EventKind.PIN, EventKind.STATUS))
_SILENCE_SECONDS = 20.0  # after which a comment is sent: a proxy may end what is silent for long
_TAKE_SECONDS = 30.0  # until a listener that reads nothing is left
_PACE_SECONDS = 0.05  # between two writes to one listener, so that what comes meanwhile goes together
_BUFFER_BYTES = 16 * 1024  # of a listener that does not read; more waits in the feed
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events until it has some KB of them
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a listener asks for; empty: whatever they are about."""

    kinds: frozenset[EventKind]
    subjects: frozenset[str]

    def __contains__(self, event: Event) -> bool:
        return event.kind in self.kinds and (not self.subjects or event.subject in self.subjects)


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/events", events, allow_head=False)
    app.on_shutdown.append(_end)


async def _end(app: web.Application) -> None:
    app[PARTS].events.close()


async def events(request: web.Request) -> web.StreamResponse:
    """`types` and `cids` (with commas) choose; `since`, or the header Last-Event-ID, is where to go on."""
    feed = request.app[PARTS].events
    wanted = _wanted(request)
    after, told = _place(feed, request.headers.get("Last-Event-ID") or request.query.get("since", ""))
    try:
        with feed.listening():
            return await _stream(request, feed, after, wanted, told)
    except TooManyListeners as error:
        response = error_response(503, str(error))
        response.headers["Retry-After"] = "10"
        return response


def _wanted(request: web.Request) -> Wanted:
    """Raises BadRequest, BadCid."""
    known = {kind.value: kind for kind in EventKind}
    names = _list(request.query, "types")
    if unknown := [name for name in names if name not in known]:
        raise BadRequest(f'parameter types invalid: "{unknown[0][:64]}" is none of {", ".join(known)}')
    texts = _list(request.query, "cids")
    if len(texts) > MAX_CIDS:
        raise BadRequest(f"parameter cids invalid: at most {MAX_CIDS} CIDs with commas between")
    subjects = frozenset(str(query_values.cid(text)) for text in texts)
    kinds = frozenset(known[name] for name in names) or frozenset(EventKind)
    if subjects and not (kinds := kinds & _OF_CIDS):
        raise BadRequest(f"parameter types invalid: {', '.join(names)} are about no CIDs: leave cids out")
    return Wanted(kinds, subjects)


def _list(query: Query, name: str) -> list[str]:
    """Empty where it is left out. Raises BadRequest for one that names nothing."""
    found = query_values.comma_list(query.get(name, ""))
    if query.get(name) and not found:
        raise BadRequest(f"parameter {name} invalid: it names nothing, so leave it out")
    return found


def _place(feed: EventFeed, since: str) -> tuple[int, bytes]:
    """Behind which event to begin, and what is said first: where that is, or that some are missing.

    Raises BadRequest.
    """
    if not since:
        return feed.last, _sent(feed.id_of(feed.last), "hello", feed.greeting(feed.last))
    if since == OLDEST:
        return feed.oldest - 1, b""
    try:
        at = EventId.parse(since)
    except BadEventId as error:
        raise BadRequest(f"parameter since invalid: {error}") from None
    if at.start == feed.start and feed.oldest - 1 <= at.number <= feed.last:
        return at.number, b""
    return feed.oldest - 1, _sent(feed.id_of(feed.oldest - 1), "missed", feed.loss(since))


def _sent(id_: EventId, kind: str, text: str) -> bytes:
    return f"id: {id_}\nevent: {kind}\ndata: {text}\n\n".encode()


async def _stream(
    request: web.Request, feed: EventFeed, after: int, wanted: Wanted, told: bytes
) -> web.StreamResponse:
    request[ENDLESS] = True
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    if (transport := request.transport) is not None:
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)
    try:
        await _send(response, told or b":\n\n")
        while not feed.closed:
            after = await _next(response, feed, after, wanted)
    except (TimeoutError, Gone):
        if request.transport is not None:
            reset(request.transport)
    return response


async def _next(response: web.StreamResponse, feed: EventFeed, after: int, wanted: Wanted) -> int:
    """Wait for events, send those that are wanted; the number of the last that was looked at. Raises Gone."""
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            await feed.wait(after)
    except TimeoutError:
        await _send(response, b":\n\n")
        return after
    found = feed.read(after)
    if lines := _lines(feed, [event for event in found if event in wanted]):
        await _send(response, lines)
        await asyncio.sleep(_PACE_SECONDS)
    return found[-1].number if found else after


def _lines(feed: EventFeed, found: Sequence[Event]) -> bytes:
    return b"".join(_sent(feed.id_of(event.number), event.kind, feed.text_of(event)) for event in found)


async def _send(response: web.StreamResponse, data: bytes) -> None:
    """Raises TimeoutError for who takes nothing."""
    async with asyncio.timeout(_TAKE_SECONDS):
        await response.write(data)
