"""The listeners for admins and browsers: nothing from them runs, and pages of others change nothing."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.gateway import Gateway
from support.node import running_node

from node.node import Node

PAGE = b"<!DOCTYPE html><script>alert(1)</script>"
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Referer": "https://evil.example/page"},
    {"User-Agent": "Mozilla/5.0"},
    {"Origin": "http://127.0.0.1:8080"},  # content of the gateway on this machine
]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with running_node(tmp_path) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def ask(client: ClientSession, method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
    async with client.request(method, url, allow_redirects=False) as answer:
        return answer.status, answer.headers, await answer.read()


def assert_nothing_runs(headers: Mapping[str, str], body: bytes) -> None:
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    kind = headers.get("Content-Type", "application/octet-stream").partition(";")[0]
    assert not body or kind in (
        "application/json",
        "text/plain",
        "application/x-tar",
        "application/vnd.ipld.raw",
        "application/vnd.ipld.car",
        "application/octet-stream",
    )


async def test_nothing_of_the_rpc_runs_in_a_browser(node: Node, client: ClientSession) -> None:
    root = await Gateway(node, client).add({"d/page.html": PAGE})
    for command, status in (
        (f"cat?arg={root}/page.html", 200),
        (f"get?arg={root}", 200),
        (f"ls?arg={root}", 200),
        (f"block/get?arg={root}", 200),
        (f"dag/export?arg={root}", 200),
        ("version", 200),
        ("repo/gc", 200),
        ("cat?arg=<script>", 500),
        ("cat", 400),
        ("no/such<script>", 404),
    ):
        found, headers, body = await ask(client, "POST", f"{node.faces.rpc.url}/api/v0/{command}")
        assert found == status
        assert_nothing_runs(headers, body)
    for method in ("GET", "OPTIONS"):
        _, headers, body = await ask(client, method, f"{node.faces.rpc.url}/api/v0/version")
        assert_nothing_runs(headers, body)


async def test_nothing_of_the_cluster_api_runs_in_a_browser(node: Node, client: ClientSession) -> None:
    root = await Gateway(node, client).add({"d/page.html": PAGE})
    for method, path in (
        ("POST", f"/pins/{root}?name=<script>alert(1)</script>"),
        ("GET", "/id"),
        ("GET", "/pins"),
        ("GET", "/allocations"),
        ("GET", f"/pins/{root}"),
        ("GET", "/pins/<script>"),
        ("GET", "/no/such/<script>"),
        ("GET", "/id/"),
        ("DELETE", "/id"),
        ("GET", "/health"),
        ("POST", "/add?name=<script>"),
        ("DELETE", f"/pins/{root}"),
    ):
        _, headers, body = await ask(client, method, node.faces.api.url + path)
        assert_nothing_runs(headers, body)


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_page_of_another_origin_changes_nothing_in_the_cluster(
    node: Node, client: ClientSession, headers: dict[str, str]
) -> None:
    root = await Gateway(node, client).add({"d/page.html": PAGE})
    api = node.faces.api.url
    for method, path in (("POST", f"/pins/{root}"), ("DELETE", f"/pins/{root}"), ("POST", "/v1/invite")):
        async with client.request(method, api + path, headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, 403)
    async with client.get(f"{api}/allocations", headers=headers) as answer:
        assert answer.status == 204  # looking is free, and nothing was pinned


async def test_pages_of_the_api_s_own_origin_and_programs_may_change_things(
    node: Node, client: ClientSession
) -> None:
    root = await Gateway(node, client).add({"d/page.html": PAGE})
    api = node.faces.api.url
    own = {"Origin": api, "User-Agent": "Mozilla/5.0"}
    for headers in (own, {"User-Agent": "Go-http-client/1.1"}, {}):
        async with client.post(f"{api}/pins/{root}", headers=headers) as answer:
            assert answer.status == 200
