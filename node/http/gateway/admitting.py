"""Requests let in, or sent away with 429; whole bodies are sent while they count."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

from node.config import GatewayConfig
from node.http.app import PARTS
from node.http.gateway import pages
from node.http.gateway.response_cache import ReadyResponse
from node.http.gateway.writing import CLIENT, paced
from node.http.limits.addresses import Address, TrustedProxies, key_of
from node.http.limits.admission import Admission, Limits, TooManyRequests

ADMISSION = web.AppKey("admission", Admission)
PROXIES = web.AppKey("proxies", TrustedProxies)

_LARGE = 64 * 1024  # bytes of a body that a client may leave unread


def limits_of(settings: GatewayConfig) -> Limits:
    return Limits(
        settings.max_requests,
        settings.client_requests,
        settings.client_rate,
        settings.client_burst,
        settings.client_bytes,
    )


async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer, or 429. Raises what the handler raises."""
    try:
        return await _inside(request, handler)
    except TooManyRequests as error:
        return refused(request, error)


async def _inside(request: web.Request, handler: Handler) -> web.StreamResponse:
    admission = request.app[ADMISSION]
    client = admission.enter(key_of(address_of(request)) if admission.per_client else b"")
    try:
        if client.pace is not None:
            request[CLIENT] = client
        response = await handler(request)
        if isinstance(response, web.Response | ReadyResponse) and isinstance(body := response.body, bytes):
            if client.pace is not None and request.method != "HEAD":
                admission.check_debt(client)
                await paced(client, len(body))
            if len(body) > _LARGE and isinstance(response, web.Response):
                await _send(request, response, request.app[PARTS].config.gateway.max_seconds)
        return response
    finally:
        admission.leave(client)


def address_of(request: web.Request) -> Address | None:
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
    return request.app[PROXIES].client(request.remote or "", forwarded)


def refused(request: web.Request, error: TooManyRequests) -> web.Response:
    response = pages.refusal(request, 429, str(error))
    response.headers["Retry-After"] = str(error.retry_after)
    return response


async def _send(request: web.Request, response: web.Response, longest: float) -> None:
    """A large body is sent here, so that it counts for as long as it is in memory."""
    try:
        async with asyncio.timeout(longest or None):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        return  # the client has left; aiohttp is told so again, and ends the connection
