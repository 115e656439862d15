"""One aiohttp application a listener: a public gateway can never route to an admin verb."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from blockstore.common.tasks import open_tasks
from node.errors import NodeError
from node.files.bound_socket import bound_socket
from node.http.connection import (
    ENTRANCE,
    MAX_FIELD,
    MAX_FIELDS,
    MAX_LINE,
    Entrance,
    FaceRequestHandler,
    HttpConnection,
    Serve,
)
from node.http.limits.door import Door
from node.http.listener_url import listener_url
from node.http.slow_clients import ending_stalled
from node.http.tls.greeting import Greeting
from node.http.tls.server_certificate import TlsFiles, open_certificate
from node.http.unix_socket import SocketSite

_REFUSED = (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL)
_BACKLOG = 1024
_BODY_BYTES = 1024 * 1024  # of one upload in flight; more is left to TCP
_SHUTDOWN_SECONDS = 2.0
_IDLE_SECONDS = 3600.0
MAX_CONNECTIONS = 1024
"""At once to a listener that says nothing else, such as those for admins."""

CLIENT_CONNECTIONS = 128
"""Of these, of one address on another machine."""

Connect = Callable[[Serve, Entrance], asyncio.Protocol]

_log = logging.getLogger("aiohttp.server")


def _is_of_this_node(record: logging.LogRecord) -> bool:
    """Nothing is logged of a request that does not parse (400), nor of a client that left too soon."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


_log.addFilter(_is_of_this_node)


class PortInUse(NodeError):
    """A listener that cannot have its port; names the setting to change."""


async def _closed() -> None:
    """Of a place where nothing listens."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where connections are taken; no host is every address. `url` has the port that was really bound."""

    host: str
    port: int
    tls: bool = False
    close: Callable[[], Awaitable[None]] = field(default=_closed, repr=False, compare=False)
    """Take no more, and end what goes on within seconds; leaving `listen` does so too."""

    @property
    def url(self) -> str:
        return listener_url(self.host, self.port, tls=self.tls)


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Where to listen, and how long to bear with clients.

    `section`: the one of the config that holds `host` and `port` (0 = any free one). A handler is cancelled
    when its client leaves, or reads nothing for `send_timeout` seconds (0 = it may). A connection without a
    whole request for `idle_timeout` seconds is ended. Some `body_bytes` of a body are held until they are
    read. `socket` is the path of a Unix socket beside the port; empty = none. With `tls` the port is HTTPS.
    """

    section: str
    host: str
    port: int
    send_timeout: float = 0.0
    idle_timeout: float = _IDLE_SECONDS
    body_bytes: int = _BODY_BYTES
    socket: str = ""
    tls: TlsFiles | None = None


@asynccontextmanager
async def listen(
    app: web.Application,
    settings: ListenerSettings,
    entrance: Entrance | None = None,
    connect: Connect = HttpConnection,
) -> AsyncIterator[Listener]:
    """Serve `app` for the length of the block. Raises PortInUse, BadTlsFiles.

    `entrance` decides which connections are let in, `connect` how one begins.
    """
    entrance = entrance or Entrance(Door(MAX_CONNECTIONS, CLIENT_CONNECTIONS))
    app[ENTRANCE] = entrance
    app.on_response_prepare.append(_close_after_unsized_body)
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        serve = partial(_request_handler, runner, entrance, settings)
        connection = partial(connect, serve, entrance)
        async with _greeted(settings.tls, entrance, connection) as arriving:
            await _bind(_Site(runner, settings, arriving), settings)
            async with _ending_stalled(runner, settings.send_timeout), _socket(runner, settings, connection):
                port, encrypted = _bound_port(runner), settings.tls is not None
                yield Listener(settings.host, port, encrypted, runner.cleanup)
            await runner.cleanup()  # before what handshakes need
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _greeted(files: TlsFiles | None, entrance: Entrance, connect: Serve) -> AsyncIterator[Serve]:
    """What a connection begins with: a handshake where there is a certificate. Raises BadTlsFiles."""
    if files is None:
        yield connect
        return
    async with open_certificate(files) as certificate, open_tasks() as tasks:
        yield Greeting(certificate, entrance, connect, tasks).connection


class _Site(web.TCPSite):
    """A TCP listener whose connections are ours before they are aiohttp's."""

    __slots__ = ("_connection",)

    def __init__(self, runner: web.BaseRunner, settings: ListenerSettings, connection: Serve) -> None:
        super().__init__(runner, settings.host, settings.port, backlog=_BACKLOG)
        self._connection = connection

    async def start(self) -> None:
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, self._host, self._port, backlog=self._backlog
        )
        self._bound_port = self._server.sockets[0].getsockname()[1]


@asynccontextmanager
async def _socket(
    runner: web.BaseRunner, settings: ListenerSettings, connection: Serve
) -> AsyncIterator[None]:
    """Listen on the Unix socket too, where one is set. Raises PortInUse."""
    if not settings.socket:
        yield
        return
    with ExitStack() as stack:
        try:
            bound = stack.enter_context(bound_socket(Path(settings.socket)))
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {settings.socket} ({error.strerror or error}): "
                f"set {settings.section}.socket"
            ) from None
        site = SocketSite(runner, bound, connection, _BACKLOG)
        await site.start()
        try:
            yield
        finally:
            if site in runner.sites:  # not closed with all others
                await site.stop()


def _request_handler(
    runner: web.AppRunner, entrance: Entrance, settings: ListenerSettings
) -> web.RequestHandler:
    """What answers one connection. aiohttp's server would make its own, with errors in its own words."""
    server = runner.server
    assert server is not None  # the runner is set up before its sites
    handler = FaceRequestHandler(
        server,
        loop=asyncio.get_running_loop(),
        keepalive_timeout=settings.idle_timeout,
        access_log=None,  # type: ignore[arg-type]  # aiohttp says so itself: no access log
        read_bufsize=settings.body_bytes,
        max_line_size=MAX_LINE,
        max_field_size=MAX_FIELD,
        max_headers=MAX_FIELDS,
        auto_decompress=False,
        logger=_log,
    )
    handler.refuse = entrance.refuse
    return handler


async def _close_after_unsized_body(request: web.Request, response: web.StreamResponse) -> None:
    """HTTP/1.0 has no chunks: a body of unknown length ends with its connection (RFC 9112 section 6.3)."""
    if request.version < HttpVersion11 and response.content_length is None:
        response.force_close()


def _transports(runner: web.AppRunner) -> list[asyncio.Transport]:
    connections = runner.server.connections if runner.server else []
    return [one.transport for one in connections if one.transport is not None]


def _ending_stalled(runner: web.AppRunner, send_timeout: float) -> AbstractAsyncContextManager[None]:
    return ending_stalled(partial(_transports, runner), send_timeout) if send_timeout else nullcontext()


async def _bind(site: web.TCPSite, settings: ListenerSettings) -> None:
    try:
        await site.start()
    except OSError as error:
        known = isinstance(error, socket.gaierror) or error.errno in _REFUSED
        if not known:
            raise
        section = settings.section
        raise PortInUse(
            f"cannot listen on {settings.host}:{settings.port} ({_reason(error)}): set {section}.host or "
            f"{section}.port, or start with --{section}-port (0 = any free one)"
        ) from None


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror)
    return os.strerror(error.errno)  # asyncio puts a sentence of its own around it


def _bound_port(runner: web.AppRunner) -> int:
    (address,) = runner.addresses[:1]
    return int(address[1])
