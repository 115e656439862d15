"""Listeners, and streamed answers with trailers as a client on the wire sees them."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from aiohttp import web
from support.http_gateway import Behaviour, silence
from support.node import eventually

from blockstore.errors import BlockNotFound
from node.http.go import gojson
from node.http.listener import Listener, ListenerSettings, PortInUse, listen
from node.http.rest.json_stream import stream_json
from node.http.trailers import TrailerResponse


def app_of(handler: Behaviour) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/", handler)
    return app


ASK = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def ask(listener: Listener, request: bytes = ASK) -> bytes:
    """The whole answer, byte for byte."""
    reader, writer = await asyncio.open_connection(listener.host, listener.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def stream_of(*items: gojson.Json, error: Exception | None = None) -> web.Application:
    async def numbers() -> AsyncGenerator[gojson.Json]:
        for item in items:
            yield item
        if error is not None:
            raise error

    async def handler(request: web.Request) -> web.StreamResponse:
        return await stream_json(request, numbers())

    return app_of(handler)


async def test_port_zero_takes_any_free_port_and_a_taken_one_names_the_setting() -> None:
    async with listen(stream_of(), ListenerSettings("api", "127.0.0.1", 0)) as first:
        assert first.port > 0
        assert first.url == f"http://127.0.0.1:{first.port}"
        with pytest.raises(PortInUse, match=r"set api\.host or api\.port.*--api-port"):
            async with listen(stream_of(), ListenerSettings("api", "127.0.0.1", first.port)):
                pass


async def test_a_stream_ends_with_one_empty_trailer() -> None:
    async with listen(stream_of(1, 2), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        head, _, body = (await ask(listener)).partition(b"\r\n\r\n")
    assert b"\r\nTrailer: X-Stream-Error\r\n" in head
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"2\r\n1\n\r\n2\r\n2\n\r\n0\r\nX-Stream-Error: \r\n\r\n"


async def test_a_late_error_is_a_second_trailer_value_on_one_line() -> None:
    app = stream_of(1, error=BlockNotFound("x", "several\r\nlines"))
    async with listen(app, ListenerSettings("api", "127.0.0.1", 0)) as listener:
        answer = await ask(listener)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(
        b"0\r\nX-Stream-Error: \r\nX-Stream-Error: block x not found: several lines\r\n\r\n"
    )


async def test_an_empty_stream_is_204() -> None:
    async with listen(stream_of(), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        answer = await ask(listener)
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_a_connection_goes_on_after_trailers() -> None:
    async with listen(stream_of(1), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        once = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await ask(listener, once + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"X-Stream-Error: \r\n\r\n") == 2


async def test_http_1_0_gets_the_body_without_chunks_or_trailers() -> None:
    async with listen(stream_of(1, 2), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        answer = await ask(listener, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n1\n2\n")


async def test_the_end_of_the_connection_is_the_end_where_http_1_0_has_no_other() -> None:
    kept = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    async with listen(stream_of(1, 2), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        head, _, body = (await ask(listener, kept)).partition(b"\r\n\r\n")
    assert (b"keep-alive" in head, body) == (False, b"1\n2\n")


async def test_a_connection_of_http_1_0_goes_on_behind_an_answer_whose_length_is_told() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="told")

    kept = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    async with listen(app_of(handler), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        assert (await ask(listener, kept + b"GET / HTTP/1.0\r\n\r\n")).count(b"\r\n\r\ntold") == 2


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "http://[::1]:80"),
        ("", "http://localhost:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("fe80::1%eth0", "http://[fe80::1%25eth0]:80"),
        ("gw.example.org", "http://gw.example.org:80"),
    ],
)
def test_the_url_of_a_listener_is_one_that_clients_can_use(host: str, url: str) -> None:
    assert Listener(host, 80).url == url


async def test_a_head_is_bounded_by_the_length_of_its_lines_and_by_their_number() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="taken")

    async with listen(app_of(handler), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        for lines, status in ((100, b"200"), (101, b"431")):
            head = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 100) for number in range(lines - 2))
            request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n"
            assert (await ask(listener, request)).split()[1] == status
        for size, status in ((8 * 1024, b"200"), (9 * 1024, b"431")):
            request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"a" * size + b"\r\n\r\n"
            assert (await ask(listener, request)).split()[1] == status


@pytest.mark.parametrize("most", [64 * 1024, 1024 * 1024])
async def test_so_much_of_a_body_that_nobody_reads_is_held(most: int) -> None:
    held = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.StreamResponse:
        async def paused() -> bool:
            assert request.transport is not None
            return not request.transport.is_reading()

        await eventually(paused)
        held.set_result(request.content.total_bytes)
        return web.Response()

    async with listen(app_of(handler), ListenerSettings("api", "127.0.0.1", 0, body_bytes=most)) as listener:
        _, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + bytes(8 * most))
        assert most < await held < 4 * most
        writer.transport.abort()


async def test_an_announced_trailer_without_value_is_not_sent() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = TrailerResponse()
        await response.prepare(request)
        await response.write_eof(b"done")
        return response

    async with listen(app_of(handler), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        assert (await ask(listener)).endswith(b"4\r\ndone\r\n0\r\n\r\n")


async def test_a_handler_is_cancelled_when_its_client_leaves() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        entered.set()
        try:
            return await silence(request)
        finally:
            cancelled.set()

    async with listen(app_of(handler), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        _, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await entered.wait()
        writer.close()
        await cancelled.wait()


async def test_an_answer_flows_while_the_body_is_read() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.force_close()
        await response.prepare(request)
        async for line in request.content:
            await response.write(line.upper())
        return response

    async with listen(app_of(handler), ListenerSettings("api", "127.0.0.1", 0)) as listener:
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for word in (b"one\n", b"two\n"):
            writer.write(b"4\r\n" + word + b"\r\n")
            assert await reader.readuntil(b"\n\r\n") == b"4\r\n" + word.upper() + b"\r\n"
        writer.write(b"0\r\n\r\n")
        assert await reader.read() == b"0\r\n\r\n"
        writer.close()
        await writer.wait_closed()
