"""Requests to the gateway in the access log."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler

from node.http.gateway.admission import address_of, body_of
from node.http.gateway.hosts.target import authority
from node.http.gateway.replies.pacing import SENT, Sent
from node.http.log.access_log import AccessLog, AccessLogEntry

LOG = web.AppKey("log", AccessLog)
_CLIENT_CLOSED = 499  # the client did, before it had an answer (nginx)


@web.middleware
async def log_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises what the handler raises."""
    sent = request[SENT] = Sent()
    at, began = time.time(), time.perf_counter()
    status, response = _CLIENT_CLOSED, None
    try:
        response = await handler(request)
        status = response.status
        return response
    except Exception:
        status = 500
        raise
    finally:
        seconds = time.perf_counter() - began
        size = _size(request, response, sent) if response else sent.bytes
        request.app[LOG].write(_access(request, at, seconds, status, size))


def _access(request: web.Request, at: float, seconds: float, status: int, size: int) -> AccessLogEntry:
    headers = request.headers
    version = f"HTTP/{request.version.major}.{request.version.minor}"
    return AccessLogEntry(
        client=str(address_of(request) or request.remote or ""),
        at=at,
        request=f"{request.method} {request.raw_path} {version}",
        status=status,
        size=size,
        referer=headers.get("Referer", ""),
        agent=headers.get("User-Agent", ""),
        host=authority(request),
        seconds=seconds,
    )


def _size(request: web.Request, response: web.StreamResponse, sent: Sent) -> int:
    """Bytes of the body: those written, or those that are about to be."""
    bodiless = request.method == "HEAD" or response.status == 304
    return sent.bytes or (0 if bodiless else len(body_of(response)))
