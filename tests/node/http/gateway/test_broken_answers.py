"""Whatever goes wrong in the middle of an answer ends the connection: nothing else goes out as content."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError, ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestServer
from support.node import running_node

from cluster.errors import BadUpdate
from node.http.app_key import PARTS
from node.http.gateway.error_responses import EXPECTED, response_to
from node.http.gateway.replies.reply import send
from node.retrieval.deadline import Deadline

WHOLE = 1000


@pytest.mark.parametrize(
    ("error", "failures"), [(BadUpdate("a row is damaged"), 0), (KeyError("a bug"), 1)], ids=["known", "bug"]
)
async def test_no_other_answer_is_sent_in_the_place_of_content(
    tmp_path: Path, error: Exception, failures: int
) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"x" * 100
        raise error

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(WHOLE), "Content-Type": "text/plain"})
        try:
            return await send(request, response, pieces(), Deadline(30))
        except EXPECTED as refusal:
            return response_to(request, refusal)

    app = web.Application()
    app.router.add_get("/", answer)
    async with running_node(tmp_path / "node") as node:
        app[PARTS] = node.parts
        async with (
            TestServer(app) as server,
            ClientSession(timeout=ClientTimeout(30)) as client,
            client.get(server.make_url("/")) as got,
        ):
            assert got.status == 200
            assert await got.content.readexactly(100) == b"x" * 100
            with pytest.raises(ClientPayloadError):
                await got.content.read()
        assert node.parts.guard.failures == failures
