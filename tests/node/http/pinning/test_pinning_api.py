"""The Pinning Service API as its compliance suite asks for it, point by point, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.node import eventually, running_node

from blockstore.block import Block
from node.access.rights import TokenScope
from node.node import Node

ORIGIN = "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGRUVh6mjvmnBzGgRcCZ2Ms4EKrnAmLRwpDoyd5QzMrQg"
EVERY = "queued,pinning,pinned,failed"
Answer = dict[str, object]


@dataclass
class Client:
    """Calls with one token."""

    session: ClientSession
    token: str

    async def ask(self, method: str, path: str, body: object = None, raw: bytes = b"") -> tuple[int, Answer]:
        data = json.dumps(body).encode() if body is not None else raw
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(method, path, data=data, headers=headers) as got:
            text = await got.read()
            return got.status, json.loads(text) if text else {}

    async def add(self, cid: str, **more: object) -> Answer:
        status, told = await self.ask("POST", "/pins", {"cid": cid, **more})
        assert status == 202
        return told

    async def listed(self, query: str = f"?status={EVERY}") -> tuple[object, list[object]]:
        status, found = await self.ask("GET", f"/pins{query}")
        results = found["results"]
        assert status == 200
        assert isinstance(results, list)
        return found["count"], [one["pin"]["cid"] for one in results]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with running_node(tmp_path) as running:
        yield running


@pytest.fixture
async def session(node: Node) -> AsyncIterator[ClientSession]:
    async with ClientSession(node.faces.pinning.url) as opened:
        yield opened


async def client(
    node: Node, session: ClientSession, owner: str = "", scope: TokenScope = TokenScope.PIN
) -> Client:
    _, text = await node.parts.credentials.tokens.create(f"{scope.value}{owner}", scope, owner)
    return Client(session, text)


async def stored(node: Node, *texts: bytes) -> list[str]:
    blocks = [Block.of(text, version=1, codec=0x55) for text in texts]
    await node.parts.blocks.put_many(blocks)
    return [str(block.cid) for block in blocks]


async def test_a_request_has_an_id_a_status_a_time_and_its_pin(node: Node, session: ClientSession) -> None:
    alice = await client(node, session, "alice")
    (cid,) = await stored(node, b"one")
    told = await alice.add(cid, name="näme", origins=[ORIGIN], meta={"app": "x"})
    assert told["pin"] == {"cid": cid, "name": "näme", "origins": [ORIGIN], "meta": {"app": "x"}}
    assert told["status"] == "queued"
    assert isinstance(told["delegates"], list)
    assert str(told["requestid"]) not in cid
    assert datetime.fromisoformat(str(told["created"])).tzinfo is not None

    async def pinned() -> bool:
        status, now = await alice.ask("GET", f"/pins/{told['requestid']}")
        return status == 200 and now == {**told, "status": "pinned"}

    await eventually(pinned)
    assert await alice.listed("") == (1, [cid])


async def test_the_same_cid_twice_is_two_requests(node: Node, session: ClientSession) -> None:
    alice = await client(node, session, "alice")
    (cid,) = await stored(node, b"one")
    one, two = await alice.add(cid, name="one"), await alice.add(cid, name="two")
    assert one["requestid"] != two["requestid"]
    assert await alice.listed() == (2, [cid, cid])
    assert await alice.ask("DELETE", f"/pins/{one['requestid']}") == (202, {})
    assert (await alice.ask("GET", f"/pins/{one['requestid']}"))[0] == 404
    assert await node.parts.cluster.pinset.get(Block.of(b"one", version=1, codec=0x55).cid) is not None
    assert (await alice.ask("DELETE", f"/pins/{two['requestid']}"))[0] == 202
    assert await node.parts.cluster.pinset.get(Block.of(b"one", version=1, codec=0x55).cid) is None


async def test_a_request_is_replaced_by_one_with_another_id(node: Node, session: ClientSession) -> None:
    alice = await client(node, session, "alice")
    first, second = await stored(node, b"one", b"two")
    old = await alice.add(first)
    status, new = await alice.ask("POST", f"/pins/{old['requestid']}", {"cid": second, "name": "n"})
    assert (status, new["pin"]) == (202, {"cid": second, "name": "n"})
    assert new["requestid"] != old["requestid"]
    assert await alice.listed() == (1, [second])
    assert (await alice.ask("POST", f"/pins/{old['requestid']}", {"cid": first}))[0] == 404


async def test_pages_go_back_in_time_and_none_is_missed(node: Node, session: ClientSession) -> None:
    alice = await client(node, session, "alice")
    cids = await stored(node, *(b"%d" % number for number in range(14)))
    for cid in cids:
        await alice.add(cid)
    seen, before = list[object](), ""
    while True:
        _, found = await alice.ask("GET", f"/pins?status={EVERY}&limit=5{before}")
        results = found["results"]
        assert isinstance(results, list)
        if not results:
            break
        seen += [one["pin"]["cid"] for one in results]
        before = f"&before={results[-1]['created']}"
    assert seen == cids[::-1]
    count, told = await alice.listed(f"?status={EVERY}")
    assert (count, len(told)) == (14, 10)
    _, found = await alice.ask("GET", f"/pins?status={EVERY}&limit=1000")
    middle = found["results"]
    assert isinstance(middle, list)
    assert (await alice.listed(f"?status={EVERY}&after={middle[9]['created']}"))[0] == 9


async def test_each_filter_of_the_specification(node: Node, session: ClientSession) -> None:
    alice, bob = await client(node, session, "alice"), await client(node, session, "bob")
    one, two, three = await stored(node, b"one", b"two", b"three")
    await alice.add(one, name="Photos", meta={"k": "v"})
    await alice.add(two, name="my photos", meta={"k": "v", "l": "w"})
    await bob.add(three)
    for query, expected in [
        (f"cid={one},{three}", [one]), ("name=photos", []), ("name=photos&match=iexact", [one]),
        ("name=photos&match=partial", [two]), ("name=photos&match=ipartial", [two, one]),
        ('meta={"k":"v"}', [two, one]), ('meta={"k":"v","l":"w"}', [two]), ('meta={"k":"w"}', []),
        ("before=2000-01-01T00:00:00Z", []), ("after=2000-01-01T00:00:00Z", [two, one]),
    ]:  # fmt: skip
        assert await alice.listed(f"?status={EVERY}&{query}") == (len(expected), expected), query


async def test_a_caller_without_a_good_token_is_refused_in_the_forms_of_the_specification(
    node: Node, session: ClientSession
) -> None:
    for token in ("", "wrong"):
        for method, path in (("GET", "/pins"), ("POST", "/pins"), ("GET", "/pins/x"), ("GET", "/none")):
            status, told = await Client(session, token).ask(method, path)
            assert (status, list(told)) == (401, ["error"])
            error = told["error"]
            assert isinstance(error, dict)
            assert error["reason"] == "UNAUTHORIZED"
            assert isinstance(error["details"], str)
    reader = await client(node, session, "alice", TokenScope.READ)
    (cid,) = await stored(node, b"one")
    assert (await reader.ask("POST", "/pins", {"cid": cid}))[0] == 403
    assert await reader.listed() == (0, [])


async def test_owners_are_apart_and_tokens_without_one_share_theirs(
    node: Node, session: ClientSession
) -> None:
    alice, common = await client(node, session, "alice"), await client(node, session)
    (cid,) = await stored(node, b"one")
    told = await alice.add(cid)
    assert (await common.ask("GET", f"/pins/{told['requestid']}"))[0] == 404
    assert (await common.ask("DELETE", f"/pins/{told['requestid']}"))[0] == 404
    assert await common.listed() == (0, [])
    await common.add(cid)
    admin = await client(node, session, scope=TokenScope.ADMIN)
    assert await admin.listed() == (1, [cid])


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'"x"', b"{}", b'{"cid":5}', b'{"cid":""}', b'{"cid":"x"}',
        *(b'{"cid":"bafkqaaa",' + rest + b"}" for rest in (
            b'"name":5', b'"name":"' + b"x" * 256 + b'"', b'"name":"\\ud800"', b'"origins":{}',
            b'"origins":[5]',
            b'"origins":["x"]', b'"origins":["/ip4/192.0.2.1/tcp/1"]', b'"meta":[]', b'"meta":{"a":5}',
            b'"meta":{"a":{}}', b'"meta":{"a":"\\ud800"}', b'"color":"red"', b'"cid":"bafkqaaa"',
            b'"origins":["/p2p/QmX","/p2p/QmX"]',
            b'"meta":{' + b",".join(b'"%d":""' % n for n in range(65)) + b"}",
        )),
        b"[" * 30_000,
    ],
)  # fmt: skip
async def test_what_is_no_pin_is_refused_and_nothing_is_kept(
    node: Node, session: ClientSession, body: bytes
) -> None:
    alice = await client(node, session, "alice")
    status, told = await alice.ask("POST", "/pins", raw=body)
    assert (status, list(told)) == (400, ["error"]), body
    assert await alice.listed() == (0, [])


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "limit=-1", "status=", "status=king", "status=pinned,", "match=x",
        "name=" + "x" * 256, "before=yesterday", "after=", "meta=x", "meta=[]", 'meta={"a":1}',
        "cid=", "cid=x",
        "cid=" + ",".join(["bafkqaaa"] * 11), "color=red", "limit=1&limit=2", "name=%ff",
    ],
)  # fmt: skip
async def test_a_query_that_means_nothing_is_refused(node: Node, session: ClientSession, query: str) -> None:
    alice = await client(node, session, "alice")
    status, told = await alice.ask("GET", f"/pins?{query}")
    assert (status, list(told)) == (400, ["error"])


async def test_other_routes_methods_and_sizes(node: Node, session: ClientSession) -> None:
    alice = await client(node, session, "alice")
    assert (await alice.ask("GET", "/"))[0] == 404
    assert (await alice.ask("PUT", "/pins"))[0] == 405
    assert (await alice.ask("GET", "/pins/none"))[0] == 404
    assert (await alice.ask("DELETE", "/pins/none"))[0] == 404
    assert (await alice.ask("POST", "/pins", raw=b" " * 70_000))[0] == 413


async def test_requests_are_there_after_a_restart_and_in_the_audit_log(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession(node.faces.pinning.url) as session:
        alice = await client(node, session, "alice")
        (cid,) = await stored(node, b"one")
        told = await alice.add(cid, name="n")
    async with running_node(tmp_path) as node, ClientSession(node.faces.pinning.url) as session:
        again = Client(session, alice.token)
        status, now = await again.ask("GET", f"/pins/{told['requestid']}")
        assert (status, now["pin"], now["created"]) == (200, told["pin"], told["created"])
        assert (await again.ask("DELETE", f"/pins/{told['requestid']}"))[0] == 202
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(one["face"], one["name"], one["method"], one["status"], one["cids"]) for one in lines] == [
        ("pinning", "pinalice", "POST", 202, [cid]),
        ("pinning", "pinalice", "DELETE", 202, [cid]),
    ]
