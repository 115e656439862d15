"""Requests that are no HTTP, or too large to read: each face says so in its own form, in plain words."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.node import running_node

from node.http.listener import Listener
from node.node import Node

END = b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LINE = b"GET /pins?cids=" + b"a" * 40_000 + b" HTTP/1.1" + END
HEADER = b"GET /pins HTTP/1.1\r\nX: " + b"a" * 9000 + END
HEADERS = b"GET /pins HTTP/1.1\r\n" + b"X: y\r\n" * 200 + END[2:]
UNREADABLE = [
    (LINE, 414, "the request line is above 32768 bytes"),
    (HEADER, 431, "a header of the request is above 8192 bytes"),
    (HEADERS, 431, "more than 100 headers"),
    (b"BREW /pins HTTP/1.1" + END, 400, "no request of HTTP/1.1"),
    (b"GET /pins HTTP/9.9" + END, 400, "no request of HTTP/1.1"),
    (b"\x16\x03\x01\x02\x00\x01" + bytes(50) + b"\r\n\r\n", 400, "no request of HTTP/1.1"),
    (b"GET /pins HTTP/1.1\r\nX\0: a" + END, 400, "no request of HTTP/1.1"),
    (b"GET /pins HTTP/1.1\r\n\r\n", 400, "no request of HTTP/1.1"),
    (b"GET http://[::1 HTTP/1.1" + END, 400, "does not parse"),
    (b"POST /pins HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4" + END, 400, "no request of HTTP/1.1"),
]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with running_node(tmp_path) as running:
        yield running


async def ask(listener: Listener, *pieces: bytes) -> tuple[int, bytes, bytes]:
    reader, writer = await asyncio.open_connection(listener.host, listener.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


async def test_the_cluster_api_says_it_in_json(node: Node) -> None:
    for request, status, text in UNREADABLE:
        found, head, body = await ask(node.faces.api, request)
        assert found == status, request[:60]
        assert b"content-type: application/json" in head
        error = json.loads(body)
        assert (error["code"], text in error["message"]) == (status, True)


async def test_the_rpc_and_the_gateway_say_it_on_a_line(node: Node) -> None:
    for listener in (node.faces.rpc, node.faces.gateway):
        for request, status, text in UNREADABLE:
            found, head, body = await ask(listener, request)
            assert found == status, request[:60]
            assert b"content-type: text/plain" in head
            assert text in body.decode()
            assert body.count(b"\n") == 1
            assert b"b'" not in body


async def test_a_body_that_is_not_what_its_headers_say_is_refused(node: Node) -> None:
    lines = b"Host: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=x"
    for listener, path in (
        (node.faces.api, b"/add?stream-channels=false"),
        (node.faces.rpc, b"/api/v0/block/put"),
    ):
        head = b"POST " + path + b" HTTP/1.1\r\n" + lines + b"\r\n\r\n"
        status, _, body = await ask(listener, head, b"3\r\n--x\r\n", b"zzz\r\n\r\n")
        assert status in (400, 500)  # where some of it was read before, the RPC has a 500 as Kubo
        assert b"b'" not in body
        assert b"Traceback" not in body
