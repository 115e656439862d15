"""The routes of Delegated Routing V1, and how its errors look: a line of text, for programs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from node.http.errors import EXPECTED, client_closed_request, status_of, text_of
from node.http.routing import answers, names, providers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _preflight(request: web.Request) -> web.Response:
    return answers.preflight()


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/routing/v1/providers/{cid}", providers.providers),
    ("GET", "/routing/v1/peers/{peer}", providers.peers),
    ("GET", "/routing/v1/ipns/{name}", names.get),
    ("PUT", "/routing/v1/ipns/{name}", names.put),
    ("OPTIONS", "/routing/v1/{path:.*}", _preflight),
)


def prepare(app: web.Application) -> None:
    """What the handlers share."""
    app[providers.LOOKUPS] = asyncio.Semaphore(providers.MAX_LOOKUPS)


async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer, or its error as a line of text."""
    try:
        return await handler(request)
    except ConnectionError:
        return client_closed_request()
    except EXPECTED as error:
        return answers.line_of_text(status_of(error), text_of(error))
