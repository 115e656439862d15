"""HTTP client of a running node: what the command line is made of.

Blocking sockets under h11: an upload is sent from one thread while its answers are read in another (a
node answers `/add` while it reads), trailers are seen (`X-Stream-Error`), and a command starts fast.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

import h11

_READ = 256 * 1024
_CONNECT_SECONDS = 10.0
_ERROR_BYTES = 64 * 1024

Query = Sequence[tuple[str, str]]


class NoDaemon(Exception):
    """Nothing answers at that address."""

    def __init__(self, url: str) -> None:
        super().__init__(f"no daemon at {url}: start one with `pinfold daemon`")


class ApiError(Exception):
    """The node refused or failed; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotText(Exception):
    """Something that has to be text is not UTF-8."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name} has to be text in UTF-8, not {value}")


class DaemonLost(Exception):
    """The node went away in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A JSON object, read field by field; a missing or odd field reads as empty."""

    raw: Mapping[str, object]

    def text(self, name: str) -> str:
        value = self.raw.get(name)
        return value if isinstance(value, str) else ""

    def exact_name(self, name: str, escaped: str) -> str:
        """A field that is a name; `escaped` is the one that holds its bytes where they are not UTF-8."""
        if found := self.text(escaped):
            return unquote(found, errors="surrogateescape")
        return self.text(name)

    def number(self, name: str) -> int:
        value = self.raw.get(name)
        try:
            return int(value) if isinstance(value, int | float | str) else 0
        except (ValueError, OverflowError):
            return 0

    def texts(self, name: str) -> list[str]:
        value = self.raw.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def answer(self, name: str) -> ApiResponse:
        value = self.raw.get(name)
        return ApiResponse(value if isinstance(value, dict) else {})

    def answers(self, name: str) -> list[ApiResponse]:
        value = self.raw.get(name)
        return (
            [ApiResponse(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []
        )

    def items(self) -> Iterator[tuple[str, ApiResponse]]:
        for name, value in self.raw.items():
            if isinstance(value, dict):
                yield name, ApiResponse(value)


class ApiClient:
    """Calls on one listener of a node, such as its cluster REST API. A connection a call."""

    def __init__(self, url: str, secret: str = "") -> None:
        """`secret`: that of the node's data folder, where it is at hand."""
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._host = unquote(parts.hostname or "127.0.0.1")
        self._port = parts.port or 80
        self._secret = secret

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
            yield from _objects(exchange.body())

    def download(self, method: str, path: str, query: Query = ()) -> Iterator[bytes]:
        """The body as it comes. Raises ApiError also for an error that the node met half-way."""
        with self._exchange(method, path, query) as exchange:
            yield from exchange.body()

    def upload(
        self, path: str, query: Query, content_type: str, body: Iterable[bytes]
    ) -> Iterator[ApiResponse]:
        """Send a body of unknown length; yields the node's JSON lines while it is being sent.

        An exception of `body` breaks the request off, so that the node keeps nothing, and is raised here.
        """
        with self._exchange("POST", path, query, content_type, body) as exchange:
            yield from _objects(exchange.body())

    def _one(self, method: str, path: str, query: Query) -> ApiResponse:
        with self._exchange(method, path, query) as exchange:
            text = b"".join(exchange.body())
        return _parsed(text) if text.strip() else ApiResponse({})

    @contextmanager
    def _exchange(
        self,
        method: str,
        path: str,
        query: Query,
        kind: str = "",
        body: Iterable[bytes] | None = None,
    ) -> Iterator[_Exchange]:
        target = _target(path, query)
        try:
            connection = socket.create_connection((self._host, self._port), _CONNECT_SECONDS)
        except OSError:
            raise NoDaemon(self.url) from None
        with closing(connection):
            connection.settimeout(None)
            exchange = _Exchange(connection, urlsplit(self.url).netloc, body, self._secret)
            with exchange.open(method, target, kind):
                yield exchange


class _Exchange:
    """One request and its answer on one socket."""

    def __init__(
        self, connection: socket.socket, host: str, body: Iterable[bytes] | None, secret: str
    ) -> None:
        self._socket = connection
        self._host = host
        self._body = body
        self._secret = secret
        self._http = h11.Connection(h11.CLIENT)
        self._turn = threading.Lock()  # h11 holds both directions in one object
        self._trouble: BaseException | None = None

    @contextmanager
    def open(self, method: str, target: str, content_type: str) -> Iterator[None]:
        headers = [("Host", self._host), ("Connection", "close"), ("User-Agent", "pinfold")]
        if self._secret:
            headers.append(("Authorization", f"Bearer {self._secret}"))
        if self._body is None:
            headers.append(("Content-Length", "0"))
        else:
            headers += [("Content-Type", content_type), ("Transfer-Encoding", "chunked")]
        self._taken(h11.Request(method=method, target=target, headers=headers))
        sender = threading.Thread(target=self._send_body, daemon=True)
        sender.start()
        try:
            self._check_status()
            yield
        except DaemonLost:
            sender.join(timeout=1)
            raise self._trouble or DaemonLost("the node closed the connection") from None
        finally:
            self._socket.close()
        sender.join()
        if self._trouble is not None:
            raise self._trouble

    def body(self) -> Iterator[bytes]:
        """The answer's bytes; then the trailer's verdict."""
        while True:
            event = self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return self._check_trailer(event)

    def _check_status(self) -> None:
        event = self._next()
        while not isinstance(event, h11.Response):
            event = self._next()
        if event.status_code >= 300:  # a redirect is followed by nobody here: nothing was done
            raise ApiError(event.status_code, self._message(event))

    def _message(self, response: h11.Response) -> str:
        text = b""
        for part in self.body():
            text = (text + part)[:_ERROR_BYTES]
        words = text.decode(errors="replace").strip() or bytes(response.reason).decode()
        try:
            fields = _parsed(text)
        except ApiError:
            return words
        return fields.text("message") or fields.text("Message") or words

    @staticmethod
    def _check_trailer(event: h11.EndOfMessage) -> None:
        errors = [value.decode() for name, value in event.headers if name == b"x-stream-error" and value]
        if errors:
            raise ApiError(500, "; ".join(errors))

    def _send_body(self) -> None:
        try:
            for part in self._body or ():
                if part and not self._taken(h11.Data(data=part)):
                    return
            self._taken(h11.EndOfMessage())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread, nothing is swallowed
            self._trouble = error
            with suppress(OSError):  # closed by the other thread: it has its answer
                self._socket.shutdown(socket.SHUT_RDWR)

    def _taken(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> bool:
        """Whether the node goes on reading; where it does not, its answer says why."""
        try:
            self._send(event)
        except OSError:
            return False
        return True

    def _send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        with self._turn:
            parts = self._http.send_with_data_passthrough(event) or []
        for part in parts:
            self._socket.sendall(part)

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._next_event()
        except (OSError, h11.RemoteProtocolError) as error:
            raise DaemonLost(f"the node closed the connection: {error}") from None

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            with self._turn:
                event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            received = self._socket.recv(_READ)
            with self._turn:
                self._http.receive_data(received)


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


def _parsed(text: bytes) -> ApiResponse:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiError(502, "what answers there is no pinfold node: is another program on its port?")
    return ApiResponse(value)


def _objects(parts: Iterable[bytes]) -> Iterator[ApiResponse]:
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from (_parsed(line) for line in lines if line.strip())
    if rest.strip():
        yield _parsed(rest)
