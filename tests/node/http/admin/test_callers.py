"""Who may call the listeners for admins: names of this machine, and whoever shows the secret."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.node import running_node

from node.config.sections import ApiConfig, Config, RpcConfig
from node.datadir.folder import DataFolder
from node.http.admin.callers import OpenToOthers
from node.http.listener import Listener
from node.node import Node

ORDINARY = [
    "GET /id", "GET /pins", "GET /allocations", "GET /peers", "GET /v1/usage", "GET /v1/health",
    "GET /monitor/metrics/ping", "POST /pins/recover", "GET /v1/cluster",
]  # fmt: skip
OWN_NAMES = [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "localhost:9094", "127.0.0.1:1", "127.8.9.10:65535",
    "[::1]", "[::1]:9094", "[::ffff:127.0.0.1]",
]  # fmt: skip
FOREIGN_NAMES = [
    "evil.example", "evil.example:9094", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil",
    "192.0.2.7", "[2001:db8::1]:9094", "[::1", "::1", "[::1]evil", "127.0.0.1:evil", "127.0.0.1:99999",
    "a.localhost", "bafy.ipfs.localhost:9094", "localhost:80:80", "localhost/", "0.0.0.0", "\xff",
]  # fmt: skip


async def exchange(listener: Listener, request: bytes) -> tuple[int, list[str], bytes]:
    reader, writer = await asyncio.open_connection(listener.host, listener.port)
    writer.write(request)
    try:
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    lines = head.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), lines[1:], body


async def ask(
    listener: Listener, what: str, host: str = "127.0.0.1", shown: str = ""
) -> tuple[int, list[str], bytes]:
    authorization = f"Authorization: {shown}\r\n" if shown else ""
    lines = (
        f"{what} HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    return await exchange(listener, lines.encode("latin-1"))


def bearer(folder: Path) -> str:
    return f"Bearer {DataFolder(folder).secret.read_text().strip()}"


def basic(folder: Path, user: str = "pinfold") -> str:
    text = f"{user}:{DataFolder(folder).secret.read_text().strip()}"
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with running_node(tmp_path) as running:
        yield running


def closed(host: str = "127.0.0.1") -> Config:
    return Config(api=ApiConfig(auth="always", host=host), rpc=RpcConfig(auth="always", host=host))


async def test_names_of_this_machine_are_answered_and_others_are_not(node: Node) -> None:
    for name in OWN_NAMES:
        assert (await ask(node.faces.api, "GET /id", name))[0] == 200, name
        assert (await ask(node.faces.rpc, "POST /api/v0/version", name))[0] == 200, name
    for name in FOREIGN_NAMES:
        for what in ORDINARY:
            status, _, body = await ask(node.faces.api, what, name)
            assert status == 403, (name, what)
            assert "this listener is for this machine" in json.loads(body)["message"]
        status, _, body = await ask(node.faces.rpc, "POST /api/v0/version", name)
        assert status == 403, name
        assert b"ask for 127.0.0.1" in body


async def test_a_client_without_a_host_is_answered_and_a_foreign_request_line_is_not(node: Node) -> None:
    assert (await exchange(node.faces.api, b"GET /id HTTP/1.0\r\n\r\n"))[0] == 200
    line = b"GET http://evil.example/id HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    assert (await exchange(node.faces.api, line))[0] == 403


async def test_what_gives_power_over_the_cluster_wants_the_secret(node: Node, tmp_path: Path) -> None:
    status, lines, body = await ask(node.faces.api, "POST /v1/invite")
    assert status == 401
    assert [line.split()[1] for line in lines if line.startswith("WWW-Authenticate")] == ["Bearer", "Basic"]
    assert "api.secret" in json.loads(body)["message"]
    for what in ("POST /v1/invite?role=king", "POST /v1/connect", "DELETE /v1/members/x", "DELETE /peers/x"):
        assert (await ask(node.faces.api, what))[0] == 401
    for shown in (bearer(tmp_path), basic(tmp_path), basic(tmp_path, "anybody")):
        status, _, body = await ask(node.faces.api, "POST /v1/invite", shown=shown)
        assert (status, "this node joins no network" in json.loads(body)["message"]) == (400, True)
    for shown in ("Bearer x", "Basic eDp5", "Negotiate x", bearer(tmp_path) + "x"):
        assert (await ask(node.faces.api, "POST /v1/invite", shown=shown))[0] == 401


async def test_ordinary_verbs_stay_open_on_loopback(node: Node) -> None:
    for what in ORDINARY:
        assert (await ask(node.faces.api, what))[0] in (200, 204)
    assert (await ask(node.faces.api, "GET /id", shown="Bearer wrong"))[0] == 401


async def test_a_setting_closes_them(tmp_path: Path) -> None:
    async with running_node(tmp_path, closed()) as node:
        for what in (*ORDINARY, "GET /health/graph", "GET /none"):
            assert (await ask(node.faces.api, what))[0] == 401
            assert (await ask(node.faces.api, what, shown=basic(tmp_path)))[0] in (200, 204, 404)
        for command in ("version", "none"):
            assert (await ask(node.faces.rpc, f"POST /api/v0/{command}"))[0] == 401
            assert (await ask(node.faces.rpc, f"POST /api/v0/{command}", shown=bearer(tmp_path)))[0] != 401


async def test_whether_the_node_lives_is_told_without_a_credential(tmp_path: Path) -> None:
    async with running_node(tmp_path, closed()) as node:
        for name in ("", "/started", "/live", "/ready"):
            assert (await ask(node.faces.api, f"GET /health{name}"))[0] == 204
            assert (await ask(node.faces.api, f"GET /health{name}", shown="Bearer wrong"))[0] == 204


async def test_wrong_credentials_are_limited_and_the_right_one_is_taken_all_the_same(
    node: Node, tmp_path: Path
) -> None:
    statuses = [(await ask(node.faces.api, "POST /v1/invite", shown=f"Bearer {n}"))[0] for n in range(40)]
    assert statuses[:20] == [401] * 20
    assert 429 in statuses
    assert (await ask(node.faces.api, "POST /v1/invite", shown=bearer(tmp_path)))[0] == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
@pytest.mark.parametrize("section", ["api", "rpc"])
async def test_a_listener_for_everybody_is_refused_unless_it_asks_for_the_secret(
    tmp_path: Path, section: str, host: str
) -> None:
    config = replace(Config(), **{section: replace(getattr(Config(), section), host=host)})
    with pytest.raises(OpenToOthers, match=rf"pinfold config set {section}\.auth always.*127\.0\.0\.1"):
        async with running_node(tmp_path, config):
            pass


async def test_a_listener_for_everybody_asks_for_the_secret_whatever_it_is_called(tmp_path: Path) -> None:
    everywhere = closed(host="0.0.0.0")
    elsewhere = replace(
        everywhere,
        api=replace(everywhere.api, tls="elsewhere"),
        rpc=replace(everywhere.rpc, tls="elsewhere"),
    )
    async with running_node(tmp_path, elsewhere) as node:
        for name in ("127.0.0.1", "node.example"):
            assert (await ask(node.faces.api, "GET /id", name))[0] == 401
            assert (await ask(node.faces.api, "GET /id", name, bearer(tmp_path)))[0] == 200
            assert (await ask(node.faces.rpc, "POST /api/v0/id", name))[0] == 401
            assert (await ask(node.faces.rpc, "POST /api/v0/id", name, basic(tmp_path)))[0] == 200


async def test_the_secret_outlives_the_node(tmp_path: Path) -> None:
    async with running_node(tmp_path):
        before = bearer(tmp_path)
    async with running_node(tmp_path) as node:
        assert (await ask(node.faces.api, "POST /v1/invite", shown=before))[0] == 400


async def test_a_parameter_is_given_once(node: Node) -> None:
    status, _, body = await ask(node.faces.rpc, "POST /api/v0/cat?arg=x&offset=1&offset=2")
    assert (status, body) == (400, b"parameter offset is there more than once\n")
