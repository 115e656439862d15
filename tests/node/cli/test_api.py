"""The command line's HTTP client against servers that misbehave in every way a node can when it fails."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from node.cli.api.client import ApiClient
from node.cli.api.errors import ApiError, DaemonLost, NoDaemon

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n"


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[ApiClient]:
    """A server for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                handle(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield ApiClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def read_request(connection: socket.socket, end: bytes = b"\r\n\r\n") -> bytes:
    data = b""
    while end not in data:
        part = connection.recv(65536)
        assert part, "the client went away"
        data += part
    return data


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return handle


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_lines_come_as_they_are_sent_however_they_are_cut() -> None:
    body = chunk(b'{"a":1}\n{"a"') + chunk(b":2}\n") + chunk(b'{"a":3}') + b"0\r\n\r\n"
    with serving(answering(HEAD + body)) as client:
        assert [line.number("a") for line in client.lines("GET", "/")] == [1, 2, 3]


def test_an_error_in_the_trailer_is_raised_after_the_lines_before_it() -> None:
    body = chunk(b'{"a":1}\n') + b"0\r\nX-Stream-Error: the disk is full\r\n\r\n"
    with serving(answering(HEAD + body)) as client:
        lines = client.lines("GET", "/")
        assert next(lines).number("a") == 1
        with pytest.raises(ApiError, match="the disk is full"):
            next(lines)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"code":404,"message":"not found"}', "not found"),
        (b'{"Message":"no link","Code":0,"Type":"error"}', "no link"),
        (b"plain words\n", "plain words"),
        (b"", "Not Found"),
        (b"[1]", r"\[1\]"),
    ],
)
def test_a_refusal_has_its_status_and_the_nodes_words(body: bytes, says: str) -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving(answering(head + body)) as client, pytest.raises(ApiError, match=f"^{says}$") as caught:
        client.get("/")
    assert caught.value.status == 404


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", HEAD, HEAD + b"5\r\nab", b"no HTTP at all\r\n\r\n"])
def test_an_answer_that_breaks_off_is_a_lost_connection(answer: bytes) -> None:
    with serving(answering(answer)) as client, pytest.raises(DaemonLost, match="the node closed"):
        list(client.download("GET", "/"))


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff"])
def test_another_program_on_the_port_is_told_from_a_node(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving(answering(head + body)) as client, pytest.raises(ApiError, match="no pinfold node"):
        client.get("/id")


def test_nobody_there_is_no_daemon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(NoDaemon, match=f"{url}: start one with `pinfold daemon`"):
        ApiClient(url).get("/id")


def test_lines_are_answered_while_the_upload_goes_on() -> None:
    answered = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_request(connection, b"one")
        connection.sendall(HEAD + chunk(b'{"a":1}\n'))
        read_request(connection, b"0\r\n\r\n")
        connection.sendall(b"0\r\n\r\n")

    def body() -> Iterator[bytes]:
        yield b"one"
        assert answered.wait(30)
        yield b"two"

    with serving(handle) as client:
        for line in client.upload("/add", [], "text/plain", body()):
            assert line.number("a") == 1
            answered.set()


@pytest.mark.parametrize("error", [ValueError("the file vanished"), OSError(5, "Input/output error")])
def test_a_body_that_fails_breaks_the_request_off_and_is_what_the_caller_hears(error: Exception) -> None:
    received = b""

    def handle(connection: socket.socket) -> None:
        nonlocal received
        while part := connection.recv(65536):
            received += part

    def body() -> Iterator[bytes]:
        yield b"half"
        raise error

    with serving(handle) as client, pytest.raises(type(error)) as caught:
        list(client.upload("/add", [], "text/plain", body()))
    assert caught.value is error
    assert b"half" in received
    assert b"0\r\n\r\n" not in received  # the node never takes it for the whole


def test_a_refusal_in_the_middle_of_an_upload_is_heard_though_the_node_reads_no_further() -> None:
    refusal = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull"

    def handle(connection: socket.socket) -> None:
        read_request(connection, b"x" * 1000)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    with serving(handle) as client, pytest.raises(ApiError, match="full") as caught:
        list(client.upload("/add", [], "text/plain", endless()))
    assert caught.value.status == 507
