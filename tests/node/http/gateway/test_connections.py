"""Connections: many that say nothing, some that never finish a request, and more than there is room for."""

import asyncio
import resource
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import pytest
from support.gateway import Gateway, file_of, narrow_connection, open_gateway

from blockstore.block import Block
from node.config.sections import GatewayConfig
from node.http.limits.connections import connection_limit

FILE = Block.of(b"still served")
REQUEST = f"GET /ipfs/{FILE.cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Caller:
    """One connection."""

    def __init__(self, gateway: Gateway, own: str = "127.0.0.1") -> None:
        self._listener = gateway.node.faces.gateway
        self._own = own

    async def __aenter__(self) -> Self:
        listener = self._listener
        self.reader, self.writer = await asyncio.open_connection(
            listener.host, listener.port, local_addr=(self._own, 0)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def answer(self) -> bytes:
        """All of it: with whatever is behind its head."""
        self.writer.write(REQUEST)
        return await self.reader.readuntil(FILE.data)

    async def status(self, request: bytes = REQUEST) -> bytes:
        """The first line of the answer; empty when the connection was ended without one."""
        self.writer.write(request)
        return await self.reader.readline()


async def _served_beside(gateway: Gateway, count: int) -> None:
    """One request is answered while so many connections are open and silent."""
    async with AsyncExitStack() as stack:
        for start in range(0, count, 200):  # the backlog is not what is tested
            callers = [
                stack.enter_async_context(Caller(gateway)) for _ in range(start, min(start + 200, count))
            ]
            await asyncio.gather(*callers)
        assert (await gateway.get(f"/ipfs/{FILE.cid}")).body == FILE.data


async def test_a_thousand_silent_connections_do_not_keep_anybody_out(gateway: Gateway) -> None:
    await gateway.put(FILE)
    await _served_beside(gateway, 1000)


async def test_where_there_is_no_room_the_one_goes_that_waited_longest(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(max_connections=2)) as gateway:
        await gateway.put(FILE)
        async with Caller(gateway) as first, Caller(gateway) as second:
            for caller in (second, first, second):
                assert (await caller.answer()).endswith(FILE.data)
            async with Caller(gateway) as third:
                assert (await third.status()).startswith(b"HTTP/1.1 200")
                assert await first.reader.read() == b""
                assert (await second.status()).startswith(b"HTTP/1.1 200")


async def test_one_too_many_is_told_so_where_all_are_being_answered_and_room_comes_back(
    tmp_path: Path,
) -> None:
    parts = [Block.of(bytes([number]) * 2**20) for number in range(32)]
    large = file_of(parts)
    async with open_gateway(tmp_path, GatewayConfig(max_connections=1)) as gateway:
        await gateway.put(FILE, large, *parts)
        listener = gateway.node.faces.gateway
        reader, writer = await narrow_connection(listener.host, listener.port)
        writer.write(f"GET /ipfs/{large.cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with Caller(gateway) as other:
            answer = await other.reader.read()
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"Retry-After" in answer
        writer.transport.abort()
        closing = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        while (await gateway.raw(closing))[9:12] != b"200":
            pass


async def test_one_address_has_a_share_and_takes_it_from_nobody_else(tmp_path: Path) -> None:
    settings = GatewayConfig(client_connections=3, max_connections=8, trusted_proxies=())
    async with open_gateway(tmp_path, settings) as gateway, AsyncExitStack() as stack:
        await gateway.put(FILE)
        other = await stack.enter_async_context(Caller(gateway, "127.0.0.6"))
        assert (await other.answer()).endswith(FILE.data)
        greedy = [await stack.enter_async_context(Caller(gateway, "127.0.0.5")) for _ in range(50)]
        for caller in greedy[:-3]:
            assert await caller.reader.read() == b""
        for caller in (*greedy[-3:], other):
            assert (await caller.answer()).endswith(FILE.data)


async def test_a_trusted_proxy_has_all_there_is(tmp_path: Path) -> None:
    settings = GatewayConfig(client_connections=3, trusted_proxies=("127.0.0.5",))
    async with open_gateway(tmp_path, settings) as gateway, AsyncExitStack() as stack:
        await gateway.put(FILE)
        proxy = [await stack.enter_async_context(Caller(gateway, "127.0.0.5")) for _ in range(50)]
        for caller in proxy:
            assert (await caller.answer()).endswith(FILE.data)


@pytest.mark.parametrize(
    "beginning", [b"", b"G", b"GET /ipfs/", b"GET / HTTP/1.1\r\nX-Slow: ", b"CONNECT x HTTP/1.1\r\n", REQUEST]
)
async def test_who_never_finishes_a_request_is_left(tmp_path: Path, beginning: bytes) -> None:
    async with open_gateway(tmp_path, GatewayConfig(idle_timeout=0.3)) as gateway, Caller(gateway) as caller:
        await gateway.put(FILE)
        caller.writer.write(beginning)
        await caller.reader.read()


async def test_a_request_that_comes_byte_by_byte_is_answered(gateway: Gateway) -> None:
    await gateway.put(FILE)
    async with Caller(gateway) as caller:
        for byte in REQUEST[:-1]:
            caller.writer.write(bytes((byte,)))
            await caller.writer.drain()
        assert (await caller.status(REQUEST[-1:])).startswith(b"HTTP/1.1 200")


def test_a_limit_is_never_more_than_the_process_may_open() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert connection_limit(10) == 10
    assert connection_limit(0) == connection_limit(10**9) < hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
