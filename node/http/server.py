"""One aiohttp application a listener: a public gateway can never route to an admin verb."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from node.errors import NodeError
from node.http.stalled import ending_stalled
from node.listener_url import listener_url

_REFUSED = (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL)
_BACKLOG = 1024
_BODY_BYTES = 1024 * 1024  # of one upload in flight; more is left to TCP
_SHUTDOWN_SECONDS = 2.0
_IDLE_SECONDS = 3600.0
_MAX_LINE = 32 * 1024  # a long list of CIDs in a query string is fine
_MAX_FIELD = 8 * 1024  # bytes of one header, as in nginx and Apache
_MAX_FIELDS = 100  # as in Apache: a head without end takes some 800 KiB at most

_log = logging.getLogger("aiohttp.server")


def _is_ours(record: logging.LogRecord) -> bool:
    """Nothing is logged of a request that does not parse (400), nor of a client that left too soon."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


_log.addFilter(_is_ours)


class PortInUse(NodeError):
    """A listener that cannot have its port; names the setting to change."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where connections are taken; no host is every address. `url` has the port that was really bound."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return listener_url(self.host, self.port)


@asynccontextmanager
async def listen(
    app: web.Application,
    section: str,
    host: str,
    port: int,
    site: Callable[..., web.TCPSite] = web.TCPSite,
    send_timeout: float = 0.0,
    idle_timeout: float = _IDLE_SECONDS,
    body_bytes: int = _BODY_BYTES,
) -> AsyncIterator[Listener]:
    """Serve `app` for the length of the block; `section` is the one of the config that holds host and port.

    `site` decides how connections begin. A handler is cancelled when its client leaves, or reads nothing for
    `send_timeout` seconds (0 = it may). A connection without a whole request for `idle_timeout` seconds is
    ended. Some `body_bytes` of a body are held until they are read. Port 0 takes any free one.

    Raises PortInUse.
    """
    app.on_response_prepare.append(_end_where_nothing_else_tells)
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=idle_timeout,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        read_bufsize=body_bytes,
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_FIELD,
        max_headers=_MAX_FIELDS,
        auto_decompress=False,
        logger=_log,
    )
    await runner.setup()
    try:
        await _bind(site(runner, host, port, backlog=_BACKLOG), section, host, port)
        async with (
            ending_stalled(partial(_transports, runner), send_timeout) if send_timeout else nullcontext()
        ):
            yield Listener(host, _bound_port(runner))
    finally:
        await runner.cleanup()


def nobody() -> web.Response:
    """The answer to a client that has left: aiohttp notices on sending it, and says nothing of it."""
    return web.Response(status=499, reason="Client Closed Request")  # as nginx has it in its logs


async def _end_where_nothing_else_tells(request: web.Request, response: web.StreamResponse) -> None:
    """HTTP/1.0 has no chunks: a body of unknown length ends with its connection (RFC 9112 section 6.3)."""
    if request.version < HttpVersion11 and response.content_length is None:
        response.force_close()


def _transports(runner: web.AppRunner) -> list[asyncio.Transport]:
    connections = runner.server.connections if runner.server else []
    return [one.transport for one in connections if one.transport is not None]


async def _bind(site: web.TCPSite, section: str, host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        known = isinstance(error, socket.gaierror) or error.errno in _REFUSED
        if not known:
            raise
        raise PortInUse(
            f"cannot listen on {host}:{port} ({_reason(error)}): set {section}.host or "
            f"{section}.port, or start with --{section}-port (0 = any free one)"
        ) from None


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror)
    return os.strerror(error.errno)  # asyncio puts a sentence of its own around it


def _bound_port(runner: web.AppRunner) -> int:
    (address,) = runner.addresses[:1]
    return int(address[1])
