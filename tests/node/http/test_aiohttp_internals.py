"""What node/http uses of aiohttp beyond its documented interface: a release that changes it fails here first.

Why these uses pay, and the bound on aiohttp's version: docs/decisions/0002-dependencies.md.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.http_writer import StreamWriter
from aiohttp.typedefs import Handler
from aiohttp.web_runner import BaseSite, TCPSite
from aiohttp.web_server import Server

from node.http.gateway.replies.response_cache import Ready, ReadyResponse
from node.http.listener import ListenerSettings, listen
from node.http.trailers import TrailerResponse

ROOT = Path(__file__).parents[3]
MOVED = f"aiohttp {aiohttp.__version__} does this otherwise; mend {{}} before its bound is raised"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(handler: Handler) -> AsyncIterator[Connection]:
    """A client's connection to a listener that answers by this handler."""
    app = web.Application()
    app.router.add_get("/", handler)
    async with listen(app, ListenerSettings("gateway", "127.0.0.1", 0)) as listener:
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


def test_only_the_minor_version_that_was_tested_is_installed() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (bound,) = [text for text in wanted if text.startswith("aiohttp")]
    least, most = bound.removeprefix("aiohttp>=").split(",<")
    assert int(most.split(".")[1]) == int(least.split(".")[1]) + 1, bound
    assert version("aiohttp").rpartition(".")[0] == least


@pytest.mark.parametrize(
    ("owner", "names", "user"),
    [
        (BaseSite, ("start",), "node/http/listener.py"),
        (TCPSite, ("_host", "_port", "_bound_port"), "node/http/listener.py"),
        (Server, ("connections",), "node/http/listener.py"),
        (StreamWriter, ("chunked", "send_headers"), "node/http/trailers.py"),
    ],
)
def test_what_is_used_is_there(owner: type[object], names: tuple[str, ...], user: str) -> None:
    slots = {name for kind in owner.__mro__ for name in getattr(kind, "__slots__", ())}
    missing = [name for name in names if name not in slots and not hasattr(owner, name)]
    assert not missing, MOVED.format(user)


async def test_a_ready_response_is_all_that_is_written_and_its_connection_goes_on() -> None:
    """`prepare` and `write_eof` are all that the server calls to send an answer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nDate: "

    async def handler(request: web.Request) -> web.StreamResponse:
        return ReadyResponse(Ready(head, b"abc"))

    async with connected(handler) as (reader, writer):
        writer.write(GET * 2)
        for _ in range(2):
            answer = await reader.readuntil(b"abc")
            assert answer.startswith(head), MOVED.format("node/http/gateway/replies/response_cache.py")
            assert answer.endswith(b" GMT\r\n\r\nabc")


async def test_trailers_stand_between_the_last_chunk_and_the_end() -> None:
    """`StreamWriter.chunked` decides anew at each write; without it bytes go out as they are."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = TrailerResponse()
        await response.prepare(request)
        await response.write(b"abc")
        response.trailers = ("it broke",)
        return response

    async with connected(handler) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"it broke\r\n\r\n")
        assert body == b"3\r\nabc\r\n0\r\nX-Stream-Error: it broke\r\n\r\n", MOVED.format(
            "node/http/trailers.py"
        )
