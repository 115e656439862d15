"""/v1/members/{member}/drain over two real nodes: shown, done, refused, taken back."""

from __future__ import annotations

import json
from pathlib import Path

from aiohttp import ClientSession
from support.json_value import JsonObject
from support.node import eventually
from support.pairs import add, two_nodes

from node.datadir.api_secret import read_secret
from node.node import Node


def secret_of(node: Node) -> str:
    return read_secret((node.parts.staging.folder or Path()) / "api.secret")


async def ask(client: ClientSession, node: Node, method: str, member: str) -> tuple[int, JsonObject]:
    headers = {"Authorization": f"Bearer {secret_of(node)}"}
    url = f"{node.faces.api.url}/v1/members/{member}/drain"
    async with client.request(method, url, headers=headers) as answer:
        found: JsonObject = json.loads(await answer.text())
        return answer.status, found


async def test_a_drain_is_shown_begun_heard_of_and_taken_back(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):
        await add(client, a, "everywhere", b"everywhere")
        root = await add(client, a, "one", b"one", "?replication-min=1&replication-max=1")

        async def known() -> bool:
            return await b.parts.cluster.pinset.count() == 2 and len(b.parts.cluster.metrics.live()) == 2

        await eventually(known)
        status, plan = await ask(client, b, "GET", a.parts.peer)
        assert (status, plan["total"], plan["everywhere"], plan["duty"]) == (200, 1, 1, "open")
        assert [(to["peer"], to["pins"]) for to in plan["to"]] == [(b.parts.peer, 1)]
        assert plan["bytes"] > 0
        assert (await ask(client, a, "POST", a.parts.peer))[0] == 200

        async def moved() -> bool:
            async with client.get(f"{b.faces.api.url}/allocations/{root}") as answer:
                found: JsonObject = await answer.json()
                return bool(found["allocations"] == [b.parts.peer])

        await eventually(moved)
        status, error = await ask(client, b, "POST", b.parts.peer)
        assert (status, error["code"]) == (409, 409)
        assert "being drained" in error["message"]
        assert (await ask(client, b, "DELETE", a.parts.peer))[1]["duty"] == "open"

        async def heard() -> bool:
            return not a.parts.cluster.members.drained()

        await eventually(heard)


async def test_an_unknown_member_is_none_and_the_only_one_cannot_be_drained(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, _, client):
        for method in ("GET", "POST", "DELETE"):
            status, error = await ask(client, a, method, "attic")
            assert (status, error["code"]) == (404, 404)
        async with client.post(f"{a.faces.api.url}/v1/members/{a.parts.peer}/drain") as answer:
            assert answer.status == 401
        assert not a.parts.cluster.members.drained()
