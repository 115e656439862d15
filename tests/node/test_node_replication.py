"""Two whole nodes in one process, joined by a token over loopback: added here, pinned and readable there."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import ClientSession, FormData
from support.node import eventually, running_node

from blockstore.block import Block
from cluster.state import Role
from node.config import Config


def quick():
    """Only the cluster's network; metrics often, so that the test does not wait for them."""
    config = Config()
    return replace(
        config,
        swarm=replace(config.swarm, enabled=False),
        cluster=replace(config.cluster, metric_interval=0.5, mdns=False),
    )


@asynccontextmanager
async def two_nodes(tmp_path, **gateway):
    """The founder, the one it invited, and an HTTP client. `gateway` are settings of the second."""
    config = quick()
    invited = replace(config, gateway=replace(config.gateway, **gateway))
    async with running_node(tmp_path / "a", config, offline=False) as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        async with (
            running_node(tmp_path / "b", invited, offline=False, token=token) as b,
            ClientSession() as client,
        ):
            yield a, b, client


async def add(client, node, name, data, query=""):
    """The root's CID."""
    form = FormData()
    form.add_field("file", data, filename=name)
    async with client.post(f"{node.faces.api.url}/add{query}", data=form) as answer:
        return json.loads((await answer.text()).splitlines()[-1])["cid"]


async def test_what_is_added_at_one_node_is_pinned_at_the_other_and_its_gateway_serves_it(tmp_path):
    async with two_nodes(tmp_path) as (a, b, client):
        root = await add(client, a, "d/x.txt", b"everywhere")

        async def pinned_twice():
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


async def test_a_gateway_fetches_what_only_the_other_node_holds(tmp_path):
    async with two_nodes(tmp_path) as (a, b, client):
        root = await add(client, a, "x", b"only here", "?no-pin=true")

        async def connected():
            return a.parts.peer in b.parts.cluster.id().connected

        await eventually(connected)
        async with client.get(f"{b.faces.gateway.url}/ipfs/{root}") as answer:
            assert (answer.status, await answer.read()) == (200, b"only here")


async def test_a_gateway_says_what_it_tried_when_content_does_not_come(tmp_path):
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


async def test_members_that_are_to_hold_a_pin_are_told_in_counts_and_not_by_name(tmp_path):
    wanted = Block.of(b"nobody has this").cid
    async with two_nodes(tmp_path, first_byte_timeout=1.0) as (a, b, client):

        async def both_know_of_the_pin():
            async with client.get(f"{b.faces.api.url}/allocations/{wanted}") as answer:
                return answer.status == 200

        async with client.post(f"{a.faces.api.url}/pins/{wanted}") as answer:
            assert answer.status in (200, 202)
        await eventually(both_know_of_the_pin)
        async with client.get(f"{b.faces.gateway.url}/ipfs/{wanted}") as answer:
            text = await answer.text()
        assert answer.status == 504
        assert "cluster: 1 to hold it, 1 of them connected; 1 peer asked, none has it" in text
        secrets = [a.parts.peer, b.parts.peer, "127.0.0.1", "/ip4/"]
        assert [secret for secret in secrets if secret in text] == []
