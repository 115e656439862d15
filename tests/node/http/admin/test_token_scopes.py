"""Tokens at the faces: each scope goes so far and no further, owners touch their own, the audit log tells."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.node import running_node

from node.access.rights import TokenScope
from node.config.sections import ApiConfig, Config, RpcConfig
from node.datadir.folder import DataFolder
from node.node import Node

CID = "bafkreicyogicwhw6r3djcrloqqcq73dtewtxmwbwmytnyhbmih3snccqze"
CID_IN_BASE36 = "k2cwueaurelj5tp3adwfg7jxkalnsno5mqur6bvpuhrtw6ajmusf7tmx"
OTHER = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
READS = ["GET /id", "GET /pins", "GET /allocations", "GET /v1/usage", "GET /v1/cluster", "GET /v1/pins"]
PINS = [
    f"POST /pins/{CID}", f"DELETE /pins/{CID}", "POST /add", "POST /v1/pins", "POST /v1/unpins",
    "POST /pins/recover", f"POST /pins/ipfs/{CID}", "POST /v1/cars",
]  # fmt: skip
UPKEEP = ["POST /v1/gc", "POST /ipfs/gc", "POST /v1/store/check", "POST /v1/state", "POST /v1/compact"]
POWER = [
    "POST /v1/invite", "POST /v1/connect", "DELETE /v1/members/x", "GET /v1/tokens", "GET /v1/audit",
    "POST /v1/tokens?name=x&scope=admin", "DELETE /v1/tokens/reader", "DELETE /peers/x", "POST /v1/unknown",
]  # fmt: skip


async def ask(
    node: Node, what: str, token: str = "", face: str = "api", data: bytes | None = None
) -> tuple[int, bytes]:
    method, _, path = what.partition(" ")
    headers = {"Authorization": token if " " in token else f"Bearer {token}"} if token else {}
    url = {"api": node.faces.api, "rpc": node.faces.rpc}[face].url
    async with (
        ClientSession() as session,
        session.request(method, url + path, headers=headers, data=data) as got,
    ):
        return got.status, await got.read()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with running_node(tmp_path) as running:
        yield running


async def token(node: Node, scope: TokenScope, owner: str = "", name: str = "") -> str:
    made = await node.parts.credentials.tokens.create(name or f"{scope.value}{owner}", scope, owner)
    return made[1]


def secret(folder: Path) -> str:
    return DataFolder(folder).secret.read_text().strip()


async def test_a_token_goes_as_far_as_its_scope(node: Node) -> None:
    reader, pinner, admin = [await token(node, scope) for scope in TokenScope]
    for what in READS:
        for one in (reader, pinner, admin):
            assert (await ask(node, what, one))[0] in (200, 204), what
    for what in PINS:
        assert (await ask(node, what, reader))[0] == 403, what
        assert (await ask(node, what, pinner))[0] not in (401, 403), what
    for what in (*UPKEEP, *POWER):
        for one in (reader, pinner):
            status, body = await ask(node, what, one)
            assert (status, "does not go that far" in json.loads(body)["message"]) == (403, True), what
    for what in UPKEEP:
        assert (await ask(node, what, admin))[0] not in (401, 403), what


async def test_too_little_changes_nothing(node: Node) -> None:
    await ask(node, f"POST /pins/{CID}?name=mine")
    reader = await token(node, TokenScope.READ)
    assert (await ask(node, f"POST /pins/{CID}?name=x", reader))[0] == 403
    assert (await ask(node, f"DELETE /pins/{CID}", reader))[0] == 403
    assert json.loads((await ask(node, f"GET /pins/{CID}", reader))[1])["name"] == "mine"


async def test_a_wrong_token_is_refused_even_where_none_is_needed(node: Node) -> None:
    for shown in ("wrong", "Bearer pft_x", "Basic " + base64.b64encode(b"u:pft_x").decode(), "Negotiate x"):
        assert (await ask(node, "GET /id", shown))[0] == 401, shown
        assert (await ask(node, "POST /api/v0/version", shown, "rpc"))[0] == 401, shown
    for_a_peer_that_asks_for_none = "Basic " + base64.b64encode(b"a:b").decode()
    assert (await ask(node, "GET /id", for_a_peer_that_asks_for_none))[0] == 200


async def test_scopes_hold_at_the_rpc_too(node: Node) -> None:
    reader, pinner, admin = [await token(node, scope) for scope in TokenScope]
    for one in (reader, pinner, admin):
        assert (await ask(node, "POST /api/v0/version", one, "rpc"))[0] == 200
    for command, allowed in (("block/put", pinner), ("dag/import", pinner), ("repo/gc", admin)):
        assert (await ask(node, f"POST /api/v0/{command}", reader, "rpc"))[0] == 403, command
        assert (await ask(node, f"POST /api/v0/{command}", allowed, "rpc"))[0] not in (401, 403), command
    assert (await ask(node, "POST /api/v0/repo/gc", pinner, "rpc"))[0] == 403


async def test_a_closed_listener_takes_tokens(tmp_path: Path) -> None:
    config = Config(api=ApiConfig(auth="always"), rpc=RpcConfig(auth="always"))
    async with running_node(tmp_path, config) as node:
        reader = await token(node, TokenScope.READ)
        assert (await ask(node, "GET /id"))[0] == 401
        assert (await ask(node, "GET /id", reader))[0] == 200
        assert (await ask(node, "POST /api/v0/id", reader, "rpc"))[0] == 200


async def test_an_owner_changes_its_own_pins_alone(node: Node) -> None:
    alice, bob = [await token(node, TokenScope.PIN, owner) for owner in ("alice", "bob")]
    await ask(node, f"POST /pins/{OTHER}?name=ours")
    await ask(node, f"POST /pins/{CID}?name=hers", alice)
    for cid in (CID, OTHER):
        status, body = await ask(node, f"DELETE /pins/{cid}", bob)
        assert (status, "nothing was changed" in body.decode()) == (403, True)
    assert (await ask(node, f"POST /pins/{CID}?name=his&expire-in=1s", bob))[0] == 200
    shown = json.loads((await ask(node, f"GET /allocations/{CID}"))[1])
    assert (shown["name"], shown["expire_at"][:4]) == ("hers", "0001")
    assert set(shown["metadata"]) == {"pinfold.owner/alice", "pinfold.owner/bob"}
    assert (await ask(node, f"DELETE /pins/{CID}", alice))[0] == 200
    assert (await ask(node, f"GET /allocations/{CID}"))[0] == 200
    assert (await ask(node, f"DELETE /pins/ipfs/{CID}", bob))[0] == 200
    assert (await ask(node, f"GET /allocations/{CID}"))[0] == 404


async def test_an_owner_owns_what_it_pins_by_lines_and_by_adding(node: Node) -> None:
    alice = await token(node, TokenScope.PIN, "alice")
    bob = await token(node, TokenScope.PIN, "bob")
    line = json.dumps({"cid": CID}).encode()
    assert (
        json.loads((await ask(node, "POST /v1/pins", alice, data=line))[1].splitlines()[0])["result"]
        == "pinned"
    )
    answer = json.loads((await ask(node, "POST /v1/unpins", bob, data=line))[1].splitlines()[0])
    assert (answer["result"], answer["code"]) == ("failed", 403)
    assert (
        json.loads((await ask(node, "POST /v1/unpins", alice, data=line))[1].splitlines()[0])["result"]
        == "unpinned"
    )
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--x--\r\n'
    async with ClientSession() as session:
        headers = {"Authorization": f"Bearer {alice}", "Content-Type": "multipart/form-data; boundary=x"}
        async with session.post(f"{node.faces.api.url}/add", headers=headers, data=body) as got:
            added = json.loads((await got.read()).splitlines()[-1])["cid"]
    assert (await ask(node, f"DELETE /pins/{added}", bob))[0] == 403
    assert (await ask(node, f"DELETE /pins/{added}", alice))[0] == 200


async def test_marks_of_owners_are_not_for_callers_to_give(node: Node) -> None:
    alice = await token(node, TokenScope.PIN, "alice")
    for what, body in (
        (f"POST /pins/{CID}?meta-pinfold.owner/bob=", b""),
        ("POST /v1/pins", json.dumps({"cid": CID, "metadata": {"pinfold.owner/bob": ""}}).encode()),
    ):
        assert b"is not yours to give" in (await ask(node, what, alice, data=body))[1]
    assert (await ask(node, f"GET /allocations/{CID}"))[0] == 404


async def test_tokens_are_made_listed_and_revoked_by_who_may_do_everything(
    node: Node, tmp_path: Path
) -> None:
    owner = secret(tmp_path)
    status, body = await ask(node, "POST /v1/tokens?name=bot&scope=pin&owner=alice", owner)
    made = json.loads(body)
    assert (status, made["name"], made["scope"], made["owner"]) == (200, "bot", "pin", "alice")
    listed = (await ask(node, "GET /v1/tokens", owner))[1]
    assert json.loads(listed) == {key: made[key] for key in ("name", "scope", "owner", "created")}
    assert (await ask(node, "POST /v1/tokens?name=bot&scope=read", owner))[0] == 409
    for bad in (
        *("name=x", "name=x&scope=king", "scope=read", "name=a/b&scope=read"),
        *("name=x&scope=admin&owner=a", "name=x&scope=read&color=red", "name=x&name=y&scope=read"),
    ):
        assert (await ask(node, f"POST /v1/tokens?{bad}", owner))[0] == 400, bad
    assert (await ask(node, "DELETE /v1/tokens/none", owner))[0] == 404
    assert (await ask(node, "GET /id", made["token"]))[0] == 200
    assert (await ask(node, "DELETE /v1/tokens/bot", owner))[0] == 200
    assert (await ask(node, "GET /id", made["token"]))[0] == 401
    assert (await ask(node, "GET /v1/tokens", owner)) == (204, b"")


async def test_sessions_as_clients_of_ipfs_cluster_begin_them(node: Node, tmp_path: Path) -> None:
    reader = await token(node, TokenScope.READ)
    basic = "Basic " + base64.b64encode(f"bob:{secret(tmp_path)}".encode()).decode()
    for method in ("GET", "POST"):
        assert json.loads((await ask(node, f"{method} /token"))[1])["message"] == "unauthorized"
        assert (await ask(node, f"{method} /token"))[0] == 401
        session = json.loads((await ask(node, f"{method} /token", reader))[1])["token"]
        assert (await ask(node, "GET /id", session))[0] == 200
        assert (await ask(node, f"POST /pins/{CID}", session))[0] == 403
        session = json.loads((await ask(node, f"{method} /token", basic))[1])["token"]
        assert (await ask(node, "GET /v1/tokens", session))[0] == 200
        claims = session.split(".")[1]
        assert json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))) == {"iss": "bob"}
        assert (await ask(node, "GET /v1/tokens", session[:-2] + "xx"))[0] == 401


async def records(node: Node, query: str = "", who: str = "") -> list[dict[str, object]]:
    status, body = await ask(node, f"GET /v1/audit{query}", who)
    assert status in (200, 204)
    return [json.loads(line) for line in body.splitlines()]


async def test_who_changed_what_is_written_down_and_survives_a_restart(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        reader = await token(node, TokenScope.READ, name="wall")
        alice = await token(node, TokenScope.PIN, "alice", "bot")
        await ask(node, f"POST /pins/{CID}?name=x&meta-password=hunter2", alice)
        await ask(node, f"DELETE /pins/ipfs/{CID}", reader)
        await ask(node, "POST /v1/invite", "wrong")
        await ask(node, "GET /pins", reader)
        await ask(node, "POST /api/v0/repo/gc", face="rpc")
        await ask(node, "POST /api/v0/version", face="rpc")
    async with running_node(tmp_path) as node:
        found = await records(node, who=secret(tmp_path))
        assert [(one["face"], one["by"], one["name"], one["method"], one["status"]) for one in found] == [
            ("api", "token", "bot", "POST", 200),
            ("api", "token", "wall", "DELETE", 403),
            ("api", "none", "", "POST", 401),
            ("rpc", "none", "", "POST", 200),
        ]
        assert (found[0]["owner"], found[0]["cids"], found[0]["address"]) == ("alice", [CID], "127.0.0.1")
        assert [one["name"] for one in await records(node, "?refused=true&name=wall", secret(tmp_path))] == [
            "wall"
        ]
        assert await records(node, "?limit=1&since=2000-01-01T00:00:00Z&method=delete", secret(tmp_path)) == [
            found[1]
        ]
        assert await records(node, f"?cid={CID_IN_BASE36}", secret(tmp_path)) == found[:1]
        for bad in ("limit=-1", "limit=x", "since=yesterday", "refused=maybe", "color=red", "cid=x"):
            assert (await ask(node, f"GET /v1/audit?{bad}", secret(tmp_path)))[0] == 400, bad
    text = (tmp_path / "audit.log").read_text()
    assert not any(hidden in text for hidden in (reader, alice, "hunter2", "wrong", secret(tmp_path)))


async def test_who_follows_the_audit_log_hears_of_each_change(node: Node, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {secret(tmp_path)}"}
    async with (
        ClientSession() as session,
        session.get(f"{node.faces.api.url}/v1/audit?follow=true", headers=headers) as got,
    ):
        await ask(node, f"POST /pins/{CID}")
        assert json.loads(await got.content.readline())["path"] == f"/pins/{CID}"
        await ask(node, f"DELETE /pins/{CID}")
        assert json.loads(await got.content.readline())["method"] == "DELETE"
