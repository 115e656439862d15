"""The gateway as an HTTP proxy: absolute request lines, and tunnels that lead back to the gateway itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.gateway import Gateway

from blockstore.cid import CID, RAW

FILE = {"d/a.txt": b"inside"}


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connection(gateway: Gateway) -> AsyncIterator[Streams]:
    listener = gateway.node.faces.gateway
    reader, writer = await asyncio.open_connection(listener.host, listener.port)
    yield reader, writer
    writer.close()
    await writer.wait_closed()


async def exchange(streams: Streams, request: str) -> tuple[str, str, bytes]:
    """One request, its answer's head and body."""
    reader, writer = streams
    writer.write(request.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((line[16:] for line in head.splitlines() if line.startswith("Content-Length: ")), "0")
    return head.splitlines()[0], head, await reader.readexactly(int(length))


async def test_an_absolute_request_line_says_the_host(gateway: Gateway) -> None:
    root = await gateway.add(FILE)
    async with connection(gateway) as streams:
        line, _, body = await exchange(
            streams, f"GET http://{root}.ipfs.localhost/a.txt HTTP/1.1\r\nHost: proxy.example\r\n\r\n"
        )
        assert (line, body) == ("HTTP/1.1 200 OK", b"inside")
        line, head, _ = await exchange(
            streams, f"GET http://localhost:80/ipfs/{root}?x=1 HTTP/1.1\r\nHost: proxy.example\r\n\r\n"
        )
        assert line.startswith("HTTP/1.1 301")
        assert f"Location: http://{root}.ipfs.localhost:80/?x=1\r\n" in head


async def test_a_tunnel_leads_to_the_gateway(gateway: Gateway) -> None:
    root = await gateway.add(FILE)
    async with connection(gateway) as streams:
        line, _, _ = await exchange(streams, "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert line.startswith("HTTP/1.1 200 ")
        for _ in range(2):  # the connection inside is kept alive
            line, _, body = await exchange(
                streams, f"GET /a.txt HTTP/1.1\r\nHost: {root}.ipfs.localhost\r\n\r\n"
            )
            assert (line, body) == ("HTTP/1.1 200 OK", b"inside")


async def test_a_tunnel_may_come_in_pieces_with_its_first_request_behind_it(gateway: Gateway) -> None:
    root = await gateway.add(FILE)
    request = f"CONNECT a:1 HTTP/1.1\r\n\r\nGET /ipfs/{root}/a.txt HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with connection(gateway) as (reader, writer):
        for start in range(0, len(request), 7):
            writer.write(request[start : start + 7].encode())
            await writer.drain()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 Connection established")
        assert (await reader.readuntil(b"inside")).startswith(b"HTTP/1.1 200 OK")


async def test_a_tunnel_request_without_end_is_refused(gateway: Gateway) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(b"CONNECT a:1 HTTP/1.1\r\nX: " + b"x" * 20_000)
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")


async def test_connect_within_a_connection_that_is_used_already_is_refused(gateway: Gateway) -> None:
    async with connection(gateway) as streams:
        await exchange(streams, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        line, _, _ = await exchange(streams, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
        assert line.startswith("HTTP/1.1 40")


async def test_both_forms_of_proxy_answer_as_the_host_that_is_meant(gateway: Gateway) -> None:
    root = await gateway.add({"d/ipfs/file.txt": b"in a directory called ipfs", "d/a": b""})
    old = CID.v0(root.multihash)
    long = CID.v1(RAW, b"\x13\x40" + bytes(64))
    for tunnelled in (False, True):
        async with connection(gateway) as streams:
            if tunnelled:
                await exchange(streams, f"CONNECT {root}.ipfs.localhost:80 HTTP/1.1\r\nHost: x\r\n\r\n")
            for host, path, status, told in (
                (f"{root}.ipfs.localhost", "/ipfs/file.txt", 200, b"in a directory called ipfs"),
                ("localhost", f"/ipfs/{old}/", 301, f"Location: http://{root}.ipfs.localhost/\r\n".encode()),
                (f"{root}.ipfs.localhost", f"/ipfs/{root}/", 404, b"no link"),
                (f"{long}.ipfs.localhost", "/", 400, b"label length limit of 63"),
            ):
                target = path if tunnelled else f"http://{host}{path}"
                named = host if tunnelled else "proxy.example"
                line, head, body = await exchange(streams, f"GET {target} HTTP/1.1\r\nHost: {named}\r\n\r\n")
                assert line.startswith(f"HTTP/1.1 {status} "), (tunnelled, host, path)
                assert told in head.encode() + body
