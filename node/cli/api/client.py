"""HTTP client of a running node, on blocking sockets: a command starts fast without an event loop."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlencode, urlsplit

from node.cli.api.errors import NoDaemon, NotText, StrangeCertificate
from node.cli.api.exchange import ByteSocket, HttpExchange
from node.cli.api.response import ApiResponse, parse_lines, parse_object

_CONNECT_SECONDS = 10.0

Query = Sequence[tuple[str, str]]


class ApiClient:
    """Calls on one listener of a node, such as its cluster REST API. A connection a call."""

    def __init__(self, url: str, secret: str = "", certificate: Path | None = None) -> None:
        """`secret`: that of the node's data folder, where it is at hand; `certificate`: its file."""
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._host = unquote(parts.hostname or "127.0.0.1")
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._secret = secret
        self._certificate = certificate if parts.scheme == "https" else None

    def get(self, path: str, query: Query = ()) -> ApiResponse:
        """One JSON object. Raises NoDaemon, ApiError."""
        return self._one("GET", path, query)

    def post(self, path: str, query: Query = ()) -> ApiResponse:
        return self._one("POST", path, query)

    def delete(self, path: str, query: Query = ()) -> ApiResponse:
        return self._one("DELETE", path, query)

    def lines(self, method: str, path: str, query: Query = ()) -> Iterator[ApiResponse]:
        """A stream of JSON objects, one a line; an error that came after the first raises ApiError."""
        with self._exchange(method, path, query) as exchange:
            yield from parse_lines(exchange.body())

    def download(self, method: str, path: str, query: Query = ()) -> Iterator[bytes]:
        """The body as it comes. Raises ApiError also for an error that the node met half-way."""
        with self._exchange(method, path, query) as exchange:
            yield from exchange.body()

    @contextmanager
    def opened(self, method: str, path: str, query: Query = ()) -> Iterator[HttpExchange]:
        """An answer whose headers count too, and its body as it comes."""
        with self._exchange(method, path, query) as exchange:
            yield exchange

    def upload(
        self,
        path: str,
        query: Query,
        content_type: str,
        body: Iterable[bytes],
        content_bytes: int | None = None,
    ) -> Iterator[ApiResponse]:
        """Send a body of unknown length; yields the node's JSON lines while it is being sent.

        `content_bytes`: about how much it brings, so that the node can say at once that it does not fit.
        An exception of `body` breaks the request off, so that the node keeps nothing, and is raised here.
        """
        with self._exchange("POST", path, query, content_type, body, content_bytes) as exchange:
            yield from parse_lines(exchange.body())

    def _inside(self, connection: socket.socket) -> ByteSocket:
        """The connection in TLS where the node speaks that. Raises StrangeCertificate."""
        if self._certificate is None:
            return connection
        from node.cli.api.tls_socket import TlsSocket, trusting  # late: few nodes need it

        try:
            return TlsSocket(connection, trusting(self._certificate), self._host)
        except OSError as error:
            raise StrangeCertificate(self.url, self._certificate, error) from None

    def _one(self, method: str, path: str, query: Query) -> ApiResponse:
        with self._exchange(method, path, query) as exchange:
            text = b"".join(exchange.body())
        return parse_object(text) if text.strip() else ApiResponse({})

    @contextmanager
    def _exchange(
        self,
        method: str,
        path: str,
        query: Query,
        kind: str = "",
        body: Iterable[bytes] | None = None,
        content_bytes: int | None = None,
    ) -> Iterator[HttpExchange]:
        target = _target(path, query)
        try:
            connection = socket.create_connection((self._host, self._port), _CONNECT_SECONDS)
        except OSError:
            raise NoDaemon(self.url) from None
        with closing(connection):
            connection.settimeout(None)
            exchange = HttpExchange(self._inside(connection), urlsplit(self.url).netloc, body, self._secret)
            with exchange.open(method, target, kind, content_bytes):
                yield exchange


def segment(text: str) -> str:
    """One segment of a path, whatever is in it."""
    return quote(text, safe="", errors="surrogateescape")


def _target(path: str, query: Query) -> str:
    """`arg` holds content paths: their names are bytes, kept as Python keeps them. Raises NotText."""
    for name, value in query:
        if name != "arg" and not (_is_text(name) and _is_text(value)):
            raise NotText(name, value)
    search = "?" + urlencode(query, errors="surrogateescape") if query else ""
    return quote(path, safe="/%:", errors="surrogateescape") + search


def _is_text(value: str) -> bool:
    try:
        return bool(value.encode()) or not value
    except UnicodeEncodeError:
        return False
