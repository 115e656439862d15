"""Requests let in, or sent away with 429; whole bodies are sent while they count."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

from node.config.sections import GatewayConfig
from node.http.app_key import PARTS
from node.http.gateway.replies import messages
from node.http.gateway.replies.pacing import CLIENT, paced
from node.http.gateway.replies.response_cache import ReadyResponse
from node.http.limits.addresses import Address, TrustedProxies, key_of
from node.http.limits.admission import ClientUsage, RequestAdmission, RequestLimits, TooManyRequests
from node.http.slow_clients import reset

ADMISSION = web.AppKey("admission", RequestAdmission)
PROXIES = web.AppKey("proxies", TrustedProxies)

_LARGE = 64 * 1024  # bytes of a body that a client may leave unread


def limits_of(settings: GatewayConfig) -> RequestLimits:
    return RequestLimits(
        settings.max_requests,
        settings.client_requests,
        settings.client_rate,
        settings.client_burst,
        settings.client_bytes,
    )


async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer, or 429. Raises what the handler raises."""
    admission = request.app[ADMISSION]
    try:
        client = admission.enter(key_of(address_of(request)) if admission.per_client else b"")
    except TooManyRequests as error:
        return _too_many(request, error)
    try:
        response = await (handler(request) if client.pace is None else _paced(request, handler, client))
        if request.method != "HEAD":
            await request.app[PARTS].bandwidth.gateway.up.let_pass(len(body_of(response)))
        if type(response) is web.Response and len(body_of(response)) > _LARGE:
            await _send(request, response, request.app[PARTS].config.gateway.max_seconds)
        return response
    finally:
        admission.leave(client)


async def _paced(request: web.Request, handler: Handler, client: ClientUsage) -> web.StreamResponse:
    """A stream goes at its client's pace; a whole body begins when the client may have all of it."""
    request[CLIENT] = client
    response = await handler(request)
    if request.method == "HEAD" or not (body := body_of(response)):
        return response
    try:
        request.app[ADMISSION].check_debt(client)
    except TooManyRequests as error:
        return _too_many(request, error)
    await paced(client, len(body))
    return response


def body_of(response: web.StreamResponse) -> bytes:
    """Of an answer that is in memory; empty where it is streamed."""
    if isinstance(response, web.Response | ReadyResponse) and isinstance(response.body, bytes):
        return response.body
    return b""


def address_of(request: web.Request) -> Address | None:
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
    return request.app[PROXIES].client(request.remote or "", forwarded)


def _too_many(request: web.Request, error: TooManyRequests) -> web.Response:
    response = messages.error_message(request, 429, str(error))
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
            reset(request.transport)
    except ConnectionError:
        return  # the client has left; aiohttp notices it too, and ends the connection
