"""Pages of the origins that are set may use the API, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiohttp import ClientSession
from multidict import CIMultiDict
from support.node import running_node

from node.config.sections import ApiConfig, Config
from node.node import Node

PAGE = "https://pins.example.org"
OTHER = "https://other.example.org"
NOTHING = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def allowing(*origins: str) -> Config:
    return Config(api=ApiConfig(cors_origins=origins))


async def ask(
    node: Node, method: str, path: str, origin: str, asking: str = ""
) -> tuple[int, Mapping[str, str]]:
    headers = {"Origin": origin, **({"Access-Control-Request-Method": asking} if asking else {})}
    async with (
        ClientSession() as client,
        client.request(method, node.faces.api.url + path, headers=headers) as answer,
    ):
        return answer.status, CIMultiDict(answer.headers)


async def test_by_default_no_page_reads_or_changes_anything(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        status, headers = await ask(node, "GET", "/id", PAGE)
        assert (status, "Access-Control-Allow-Origin" in headers) == (200, False)
        status, headers = await ask(node, "OPTIONS", "/pins", PAGE, "GET")
        assert (status, "Access-Control-Allow-Origin" in headers) == (204, False)
        assert (await ask(node, "DELETE", f"/pins/{NOTHING}", PAGE))[0] == 403


async def test_a_page_of_an_origin_that_is_set_may_do_what_programs_may(tmp_path: Path) -> None:
    async with running_node(tmp_path, allowing(PAGE)) as node:
        _, headers = await ask(node, "GET", "/id", PAGE)
        assert headers["Access-Control-Allow-Origin"] == PAGE
        assert headers["Access-Control-Expose-Headers"].startswith("Content-Type, X-Stream-Output")
        status, headers = await ask(node, "OPTIONS", f"/pins/{NOTHING}", PAGE, "DELETE")
        assert (status, headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        assert "DELETE" in headers["Access-Control-Allow-Methods"]
        status, headers = await ask(node, "DELETE", f"/pins/{NOTHING}", PAGE)
        assert (status, headers["Access-Control-Allow-Origin"]) == (404, PAGE)
        assert (await ask(node, "POST", "/v1/invite", PAGE))[0] == 401
        for origin in (OTHER, "null", PAGE + ".evil"):
            assert (await ask(node, "DELETE", f"/pins/{NOTHING}", origin))[0] == 403
            assert "Access-Control-Allow-Origin" not in (await ask(node, "GET", "/id", origin))[1]


async def test_any_page_may_read_where_that_is_set_and_show_no_credential(tmp_path: Path) -> None:
    async with running_node(tmp_path, allowing("*")) as node:
        _, headers = await ask(node, "GET", "/id", OTHER)
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in headers
        assert (await ask(node, "DELETE", f"/pins/{NOTHING}", OTHER))[0] == 403
        _, headers = await ask(node, "OPTIONS", "/pins/x", OTHER, "DELETE")
        assert "Access-Control-Allow-Origin" not in headers
