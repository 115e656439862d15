"""Two whole nodes in one process, joined by a token over loopback: added here, pinned and readable there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

from aiohttp import ClientSession
from support.node import eventually, running_node
from support.pairs import add, quick, two_nodes

from blockstore.block import Block
from node.config.sections import GatewayConfig


async def test_what_is_added_at_one_node_is_pinned_at_the_other_and_its_gateway_serves_it(
    tmp_path: Path,
) -> None:
    async with two_nodes(tmp_path) as (a, b, client):
        root = await add(client, a, "d/x.txt", b"everywhere")

        async def pinned_twice() -> bool:
            async with client.get(f"{b.faces.api.url}/pins/{root}") as answer:
                peers = (await answer.json())["peer_map"].values()
            return [peer["status"] for peer in peers] == ["pinned", "pinned"]

        await eventually(pinned_twice)
        async with client.get(f"{b.faces.gateway.url}/ipfs/{root}/x.txt") as answer:
            assert await answer.read() == b"everywhere"
        async with client.get(f"{b.faces.api.url}/peers") as answer:
            peers = [json.loads(line) for line in (await answer.text()).splitlines()]
        assert {peer["id"] for peer in peers} == {a.parts.peer, b.parts.peer}
        assert [peer["error"] for peer in peers] == ["", ""]


async def test_members_reach_each_other_in_bulk_and_say_so(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):

        async def reached() -> bool:
            async with client.get(f"{b.faces.api.url}/v1/cluster") as answer:
                return cast("bool", (await answer.json())["bulk"]["reached"] == [a.parts.peer])

        await eventually(reached)
        (address,) = cast("list[str]", a.addresses["bulk"])
        assert address.endswith(f"/p2p/{a.parts.peer}")
        root = await add(client, a, "x", b"only here", "?no-pin=true")
        async with client.post(f"{b.faces.api.url}/pins/{root}") as answer:
            assert answer.status in (200, 202)

        async def pinned() -> bool:
            async with client.get(f"{b.faces.api.url}/pins/{root}?local=true") as answer:
                return [one["status"] for one in (await answer.json())["peer_map"].values()] == ["pinned"]

        await eventually(pinned)


async def test_a_gateway_fetches_what_only_the_other_node_holds(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):
        root = await add(client, a, "x", b"only here", "?no-pin=true")

        async def connected() -> bool:
            return a.parts.peer in b.parts.cluster.peers.us().connected

        await eventually(connected)
        async with client.get(f"{b.faces.gateway.url}/ipfs/{root}") as answer:
            assert (answer.status, await answer.read()) == (200, b"only here")


async def test_a_gateway_says_what_it_tried_when_content_does_not_come(tmp_path: Path) -> None:
    config = quick()
    config = replace(config, gateway=replace(config.gateway, first_byte_timeout=0.2))
    async with (
        running_node(tmp_path, config, offline=False) as node,
        ClientSession() as client,
        client.get(f"{node.faces.gateway.url}/ipfs/{Block.of(b'nowhere').cid}") as answer,
    ):
        text = await answer.text()
    assert answer.status in (404, 504)
    assert "not found" in text or "cluster: no peer connected" in text


async def test_members_that_are_to_hold_a_pin_are_told_in_counts_and_not_by_name(tmp_path: Path) -> None:
    wanted = Block.of(b"nobody has this").cid
    async with two_nodes(tmp_path, GatewayConfig(first_byte_timeout=0.4)) as (a, b, client):

        async def both_know_of_the_pin() -> bool:
            async with client.get(f"{b.faces.api.url}/allocations/{wanted}") as answer:
                return answer.status == 200

        async with client.post(f"{a.faces.api.url}/pins/{wanted}") as answer:
            assert answer.status in (200, 202)

        async def told() -> bool:
            """Once the other member has answered within the time that a request waits."""
            async with client.get(f"{b.faces.gateway.url}/ipfs/{wanted}") as answer:
                text = await answer.text()
            assert answer.status == 504
            secrets = [a.parts.peer, b.parts.peer, "127.0.0.1", "/ip4/"]
            assert [secret for secret in secrets if secret in text] == []
            return "cluster: 1 to hold it, 1 of them connected; 1 peer asked, none has it" in text

        await eventually(both_know_of_the_pin)
        await eventually(told)
