"""Requests that no client should send: each has a status at once, costs nothing, and changes nothing."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest
from support.gateway import Gateway, directory
from support.gateway_requests import get

from blockstore.block import Block

LEAF = Block.of(b"leaf")
ROOT = directory({"a": LEAF.cid, "d": directory({}).cid})
PATH = f"/ipfs/{ROOT.cid}/a".encode()
END = b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@pytest.fixture(autouse=True)
async def lives_on(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Before and after every one of them the same file is served, and nobody is told of an error."""
    await gateway.put(LEAF, ROOT, directory({}))
    with caplog.at_level(logging.WARNING):
        yield
        assert (await gateway.get(f"/ipfs/{ROOT.cid}/a")).body == b"leaf"
    assert caplog.records == []


async def status(gateway: Gateway, request: bytes) -> int:
    begun = time.process_time()  # not the clock: other programs may have the machine meanwhile
    answer = await gateway.raw(request)
    assert time.process_time() - begun < 5
    line = answer.partition(b"\r\n")[0].split()
    return int(line[1])


NO_HTTP = (
    b"\r\n\r\n\r\nGET\r\n\r\n",
    b"GET " + PATH + b" HTTP/11" + END,
    b"GET " + PATH + b" HTTP/9.9" + END,
    b"GET " + PATH + b" HTTQ/1.1" + END,
    b"BREW " + PATH + b" HTTP/1.1" + END,
    b"get " + PATH + b" HTTP/1.1" + END,
    b"A" * 20_000 + b" " + PATH + b" HTTP/1.1" + END,
    b"GET " + PATH + b"/a b HTTP/1.1" + END,
    b"GET " + PATH + b"/\0 HTTP/1.1" + END,
    b"GET " + PATH + b"/\x01 HTTP/1.1" + END,
    b"GET /\xff\xfe HTTP/1.1" + END,
    b"GET ipfs HTTP/1.1" + END,
    b"GET http://[::1 HTTP/1.1" + END,
    b"GET http://a:99999999/ HTTP/1.1" + END,
    b"GET " + PATH + b" HTTP/1.1\nHost: x\n\n",
    b"GET " + PATH + b" HTTP/1.1\rHost: x\r\r\n\r\n",
    b"GET " + PATH + b" HTTP/1.1\r\nX: a\0b" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nX\0: a" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nX : a" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nX: a\r\n b" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nnothing" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nHost: other" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"GET " + PATH + b" HTTP/1.1\r\nContent-Length: -1" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nContent-Length: " + b"9" * 40 + END,
    b"GET " + PATH + b" HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked" + END,
    b"GET " + PATH + b" HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4" + END,
    b"POST " + PATH + b" HTTP/1.1\r\nTransfer-Encoding: chunked" + END + b"zzz\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
)
LONG_HEADERS = (
    b"X: " + b"a" * 65_536 + b"\r\n",
    b"Cookie: " + b";=" * 40_000 + b"\r\n",
    b"".join(b"X%d: y\r\n" % number for number in range(5000)),
    b"Accept: text/html\r\n" * 5000,
    b"a" * 65_536 + b": x\r\n",
)
PATHS = {
    "%": 400, "%zz": 400, "%u0041": 400, "%00": 400, "a%00": 400, "%ff%fe": 404, "%c0%af": 404, "%25": 404,
    "%2e%2e/%2e%2e/etc/passwd": 400, "..%2f..%2fetc": 400, "%252e%252e": 404, "%0d%0aX-Evil:%201": 404,
    "%E2%80%AE": 404, "%ED%A0%80": 404, "a/" * 2000: 400, "./" * 5000: 200, "\\..\\..": 404,
    "x" * 16_000: 404, "x" * 17_000: 400, "%20" * 5000: 404,
}  # fmt: skip

HOSTS = (
    "", ".", "..", "@", "[", "[::1", "a" * 20_000, "\xff", "a b", "x:y:z", "%00", "-.ipfs.localhost",
    ".ipfs.localhost", f"{'b' * 5000}.ipfs.localhost", "xn--.ipns.localhost", "xn--zzzzzz",
)  # fmt: skip

NAMES = [
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "Expect",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "Origin",
    "Range",
    "Service-Worker",
    "TE",
    "Upgrade",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
]


async def test_what_is_no_http_is_refused(gateway: Gateway) -> None:
    for request in NO_HTTP:
        assert await status(gateway, request) == 400, request[:99]


async def test_headers_without_end_are_refused(gateway: Gateway) -> None:
    for headers in LONG_HEADERS:
        request = b"GET " + PATH + b" HTTP/1.1\r\n" + headers + END[2:]
        assert await status(gateway, request) in (400, 431), headers[:99]


async def test_a_url_without_end_is_refused(gateway: Gateway) -> None:
    for target in (f"/ipfs/{'a' * 65_536}", f"/ipfs/{ROOT.cid}?{'a=b&' * 20_000}", "/" * 65_536):
        assert await status(gateway, get(target)) in (400, 414)


async def test_escapes_and_dots_lead_nowhere_else(gateway: Gateway) -> None:
    for path, expected in PATHS.items():
        for namespace in ("", "d/"):
            answer = await gateway.get(f"/ipfs/{ROOT.cid}/{namespace}{path}")
            assert answer.status == expected, path[:99]
            assert "X-Evil" not in answer.headers


async def test_a_query_goes_with_a_redirect_as_it_came(gateway: Gateway) -> None:
    for query in ("filename=%00", "a=%0d%0aX-Evil:%201", "%ff", "%zz", "&&&=", "<script>", "a=%2541&b=c+d"):
        answer = await gateway.get(f"/ipfs/{ROOT.cid}/d?{query}")
        assert (answer.status, answer.headers["Location"]) == (301, f"/ipfs/{ROOT.cid}/d/?{query}")


async def test_hosts_that_are_none(gateway: Gateway) -> None:
    for host in HOSTS:
        for name in ("Host", "X-Forwarded-Host"):
            lines = f"Host: 127.0.0.1\r\n{name}: {host}" if name != "Host" else f"Host: {host}"
            request = f"GET / HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n".encode()
            assert await status(gateway, request) in (200, 301, 400, 404, 431, 500), host[:99]


async def test_expectations_are_answered_at_once(gateway: Gateway) -> None:
    """No body is waited for, whatever the client would like to send."""
    for value in (b"100-continue", b"200-ok", b"\x9e\xff", b""):
        lines = b"Expect: " + value + b"\r\nContent-Length: 0"
        answer = await gateway.raw(b"GET " + PATH + b" HTTP/1.1\r\n" + lines + END)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"leaf")


async def test_bytes_that_are_no_text_are_no_trouble_in_any_header(gateway: Gateway) -> None:
    for name in NAMES:
        for value in (b"\x9e\xff", b"bytes=\xff-", b'"\xe9"', b"text/html;\xff=\xfe"):
            header = name.encode() + b": " + value
            assert await status(gateway, b"GET " + PATH + b" HTTP/1.1\r\n" + header + END) in (
                200,
                400,
                404,
                412,
            )


async def test_half_a_request_harms_nobody_else(gateway: Gateway) -> None:
    listener = gateway.node.faces.gateway
    writers = []
    for part in (
        b"",
        b"G",
        b"GET /",
        b"GET " + PATH + b" HTTP/1.1\r\nHost: x\r\nX: ",
        b"CONNECT a:1 HTTP/1.1\r\n",
    ):
        for _ in range(40):
            _, writer = await asyncio.open_connection(listener.host, listener.port)
            writer.write(part)
            writers.append(writer)
    assert (await gateway.get(f"/ipfs/{ROOT.cid}/a")).body == b"leaf"
    for writer in writers:
        writer.close()


async def test_clients_that_leave_at_once_are_no_trouble(gateway: Gateway) -> None:
    listener = gateway.node.faces.gateway
    for number in range(60):
        _, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write((b"GET " + PATH + b" HTTP/1.1" + END)[: 5 + 3 * number])
        writer.transport.abort()


async def test_many_requests_on_one_connection_are_answered_in_order(gateway: Gateway) -> None:
    request = b"GET " + PATH + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = await gateway.raw(request * 300 + b"GET /none HTTP/1.1" + END)
    assert answer.count(b"HTTP/1.1 200 OK") == 300
    assert answer.count(b"HTTP/1.1 404 Not Found") == 1
