"""Connections: many that say nothing, some that never finish a request, and more than there is room for."""

import asyncio
import resource
from contextlib import AsyncExitStack

import pytest
from support.gateway import open_gateway

from blockstore.block import Block
from node.http.limits.connections import connection_limit

FILE = Block.of(b"still served")
REQUEST = f"GET /ipfs/{FILE.cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Caller:
    """One connection."""

    def __init__(self, gateway):
        self._listener = gateway.node.faces.gateway

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(self._listener.host, self._listener.port)
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()

    async def status(self, request=REQUEST):
        """The first line of the answer; empty when the connection was ended without one."""
        self.writer.write(request)
        return await self.reader.readline()


async def _served_beside(gateway, count):
    """One request is answered within a second while so many connections are open and silent."""
    async with AsyncExitStack() as stack:
        for start in range(0, count, 200):  # the backlog is not what is tested
            callers = [
                stack.enter_async_context(Caller(gateway)) for _ in range(start, min(start + 200, count))
            ]
            await asyncio.gather(*callers)
        async with asyncio.timeout(1):
            assert (await gateway.get(f"/ipfs/{FILE.cid}")).body == FILE.data


async def test_a_thousand_silent_connections_do_not_keep_anybody_out(gateway):
    await gateway.put(FILE)
    await _served_beside(gateway, 1000)


async def test_one_too_many_is_told_so_and_room_comes_back(tmp_path):
    async with open_gateway(tmp_path, max_connections=2) as gateway:
        await gateway.put(FILE)
        async with Caller(gateway) as first, Caller(gateway) as second:
            assert (await first.status()).startswith(b"HTTP/1.1 200")
            async with Caller(gateway) as third:
                answer = await third.reader.read()
                assert answer.startswith(b"HTTP/1.1 503")
                assert b"Retry-After" in answer
            assert (await second.status()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(10):
            while (await gateway.raw(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))[
                9:12
            ] != b"200":
                pass


@pytest.mark.parametrize(
    "beginning", [b"", b"G", b"GET /ipfs/", b"GET / HTTP/1.1\r\nX-Slow: ", b"CONNECT x HTTP/1.1\r\n", REQUEST]
)
async def test_who_never_finishes_a_request_is_left(tmp_path, beginning):
    async with open_gateway(tmp_path, idle_timeout=0.3) as gateway, Caller(gateway) as caller:
        await gateway.put(FILE)
        caller.writer.write(beginning)
        async with asyncio.timeout(10):
            await caller.reader.read()


async def test_a_request_that_comes_byte_by_byte_is_answered(gateway):
    await gateway.put(FILE)
    async with Caller(gateway) as caller:
        for byte in REQUEST[:-1]:
            caller.writer.write(bytes((byte,)))
            await caller.writer.drain()
        assert (await caller.status(REQUEST[-1:])).startswith(b"HTTP/1.1 200")


def test_a_limit_is_never_more_than_the_process_may_open():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert connection_limit(10) == 10
    assert connection_limit(0) == connection_limit(10**9) < hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
