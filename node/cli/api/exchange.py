"""One request and its answer over a blocking socket, by h11.

A body is sent from one thread while the answer is read in another: a node answers `/add` while it reads.
Trailers are seen (`X-Stream-Error`).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import h11

from node.cli.api.errors import ApiError, DaemonLost
from node.cli.api.response import parse_object

_READ = 256 * 1024  # bytes taken from the socket at once
_ERROR_BYTES = 64 * 1024  # of an error's text that are read


class ByteSocket(Protocol):
    """A connection, as an exchange uses it."""

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class HttpExchange:
    """One request and its answer on one socket."""

    def __init__(self, connection: ByteSocket, host: str, body: Iterable[bytes] | None, secret: str) -> None:
        self._socket = connection
        self._host = host
        self._body = body
        self._secret = secret
        self._http = h11.Connection(h11.CLIENT)
        self._lock = threading.Lock()  # h11 holds both directions in one object
        self._send_error: BaseException | None = None
        self._headers: dict[bytes, bytes] = {}

    @contextmanager
    def open(
        self, method: str, target: str, content_type: str, content_bytes: int | None = None
    ) -> Iterator[None]:
        headers = [("Host", self._host), ("Connection", "close"), ("User-Agent", "pinfold")]
        if self._secret:
            headers.append(("Authorization", f"Bearer {self._secret}"))
        if self._body is None:
            headers.append(("Content-Length", "0"))
        else:
            headers += [("Content-Type", content_type), ("Transfer-Encoding", "chunked")]
        if content_bytes is not None:
            headers.append(("Expected-Bytes", str(content_bytes)))
        self._send_if_open(h11.Request(method=method, target=target, headers=headers))
        sender = threading.Thread(target=self._send_body, daemon=True)
        sender.start()
        try:
            self._check_status()
            yield
        except DaemonLost:
            sender.join(timeout=1)
            raise self._send_error or DaemonLost("the node closed the connection") from None
        finally:
            self._socket.close()
        sender.join()
        if self._send_error is not None:
            raise self._send_error

    def number(self, header: str) -> int | None:
        """A header of the answer that is a number, where it is there."""
        text = self._headers.get(header.lower().encode(), b"")
        return int(text) if text.isdigit() else None

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
        self._headers = dict(event.headers)
        if event.status_code >= 300:  # redirects are not followed: nothing was done
            raise ApiError(event.status_code, self._message(event))

    def _message(self, response: h11.Response) -> str:
        text = b""
        for part in self.body():
            text = (text + part)[:_ERROR_BYTES]
        words = text.decode(errors="replace").strip() or bytes(response.reason).decode()
        try:
            fields = parse_object(text)
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
                if part and not self._send_if_open(h11.Data(data=part)):
                    return
            self._send_if_open(h11.EndOfMessage())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread, nothing is swallowed
            self._send_error = error
            with suppress(OSError):  # closed by the other thread: it has its answer
                self._socket.shutdown(socket.SHUT_RDWR)

    def _send_if_open(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> bool:
        """Whether the node goes on reading; where it does not, its answer says why."""
        try:
            self._send(event)
        except OSError:
            return False
        return True

    def _send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        with self._lock:
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
            with self._lock:
                event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            received = self._socket.recv(_READ)
            with self._lock:
                self._http.receive_data(received)
