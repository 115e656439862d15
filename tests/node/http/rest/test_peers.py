"""POST /peers, traffic by protocol, and garbage collections of all members, over two real nodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.json_value import JsonObject
from support.node import eventually, running_node
from support.pairs import add, quick, two_nodes

from blockstore.block import Block
from blockstore.cid import CID, RAW
from cluster.interfaces import Role
from cluster.pin import Wish
from node.node import Node

STRANGER = "12D3KooWGzBnKyqPgQAjRXPGd6LK7s7jzQbYTyCT6VAbFtRLQkgL"


async def ask(client: ClientSession, node: Node, body: object) -> tuple[int, JsonObject]:
    async with client.post(f"{node.faces.api.url}/peers", data=json.dumps(body)) as answer:
        found: JsonObject = json.loads(await answer.text())
        return answer.status, found


async def test_a_peer_is_asked_who_it_is_and_becomes_no_member_by_that(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):

        async def answers() -> bool:
            return (await ask(client, a, {"peer_id": b.parts.peer}))[0] == 200

        await eventually(answers)
        _, told = await ask(client, a, {"peer_id": b.parts.peer})
        assert told["id"] == b.parts.peer
        assert set(told["cluster_peers"]) == {a.parts.peer, b.parts.peer}
        status, error = await ask(client, a, {"peer_id": STRANGER})
        assert (status, error["code"]) == (500, 500)
        assert a.parts.cluster.members.peers() == {a.parts.peer, b.parts.peer}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"peer_id": "me"}, "error decoding peer_id"),
        ({"peer_id": 7}, "error decoding peer_id"),
        ({}, "error decoding peer_id"),
        ([], "error decoding request body"),
        ({"peer_id": "x" * 5000}, "error decoding request body"),
    ],
)
async def test_a_body_that_names_no_peer_is_refused(tmp_path: Path, body: object, message: str) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        assert await ask(client, node, body) == (400, {"code": 400, "message": message})


async def test_traffic_is_told_by_protocol(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, _, client):

        async def counted() -> bool:
            async with client.get(f"{a.faces.api.url}/health/bandwidth") as answer:
                found = await answer.json()
            return any(one["total_in"] > 0 and one["total_out"] > 0 for one in found.values())

        await eventually(counted)
        async with client.get(f"{a.faces.api.url}/health/bandwidth") as answer:
            told = await answer.json()
        assert "/pinfold/call/1.0.0" in told
        assert all(list(one) == ["total_in", "total_out", "rate_in", "rate_out"] for one in told.values())


async def test_blocks_in_bulk_are_traffic_too(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):

        async def reached() -> bool:
            return a.parts.bulk is not None and b.parts.peer in a.parts.bulk.reached()

        await eventually(reached)
        blocks = [Block.of(bytes([number]) * 100_000) for number in range(4)]
        await b.parts.blocks.put_many(blocks)
        for block in blocks:
            await b.parts.add_service.pin_root(block.cid, Wish())

        async def counted() -> bool:
            async with client.get(f"{a.faces.api.url}/health/bandwidth") as answer:
                told = await answer.json()
            return bool(told.get("/pinfold/bulk/1", {}).get("total_in", 0) > 100_000)

        await eventually(counted)


async def test_a_node_that_joins_no_network_has_no_traffic(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path) as node,
        ClientSession() as client,
        client.get(f"{node.faces.api.url}/health/bandwidth") as answer,
    ):
        assert (answer.status, await answer.json()) == (200, {})


async def test_all_members_remove_their_garbage_and_name_it(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):
        ours, theirs = [
            await add(client, one, "x", one.parts.peer.encode(), "?no-pin=true") for one in (a, b)
        ]

        async def connected() -> bool:
            return b.parts.peer in a.parts.cluster.peers.us().connected

        await eventually(connected)
        async with client.post(f"{a.faces.api.url}/ipfs/gc?local=true") as answer:
            (alone,) = (await answer.json())["peer_map"].items()
        assert alone == (a.parts.peer, {"peer": a.parts.peer, "peername": a.parts.cluster.context.name,
                                        "keys": [{"key": raw(ours)}]})  # fmt: skip
        async with client.post(f"{a.faces.api.url}/ipfs/gc") as answer:
            told = (await answer.json())["peer_map"]
        assert list(told) == sorted([a.parts.peer, b.parts.peer])
        assert [told[a.parts.peer]["keys"], told[b.parts.peer]["keys"]] == [[], [{"key": raw(theirs)}]]


def raw(cid: str) -> str:
    """The form in which removed blocks are named."""
    return str(CID.v1(RAW, CID.parse(cid).multihash))


async def test_a_node_that_is_no_member_yet_lives_and_is_not_ready(tmp_path: Path) -> None:
    async with running_node(tmp_path / "a", quick(), offline=False) as founder:
        token = str(await founder.parts.invite(Role.TRUSTED, 3600))
    async with (
        running_node(tmp_path / "b", quick(), offline=False, token=token) as b,
        ClientSession() as client,
    ):
        for name, expected in (("live", 204), ("started", 204), ("ready", 503)):
            async with client.get(f"{b.faces.api.url}/health/{name}") as answer:
                assert answer.status == expected
                assert expected == 204 or "not a member" in (await answer.json())["message"]
