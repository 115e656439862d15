"""The limits of a pin over HTTP, on real nodes: each member keeps to them, every list has them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import cast

from aiohttp import ClientSession
from support.json_value import JsonObject
from support.node import eventually, running_node
from support.pairs import add, two_nodes

from blockstore.block import Block
from node.node import Node

ABSENT = Block.of(b"nowhere to be found").cid
DEADLINE = "2999-01-01T00:00:00Z"


async def asked(client: ClientSession, node: Node, method: str, path: str) -> tuple[int, JsonObject]:
    async with client.request(method, f"{node.faces.api.url}{path}") as answer:
        return answer.status, json.loads((await answer.text()).splitlines()[0])


async def until_status(
    client: ClientSession, node: Node, cid: object, member: str, status: str
) -> JsonObject:
    """What that member says once it says this; the suite's timeout ends a wait that never succeeds."""
    while True:
        _, info = await asked(client, node, "GET", f"/pins/{cid}")
        peers = cast("dict[str, JsonObject]", info["peer_map"])
        if peers.get(member, {}).get("status") == status:
            return peers[member]
        await asyncio.sleep(0.02)


async def test_a_member_that_is_to_fetch_what_is_too_large_stops_with_the_size(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):
        cid = await add(client, a, "large", bytes(300_000) + b"the end" * 100_000, "?no-pin=true")

        async def known() -> bool:
            return b.parts.peer in a.parts.cluster.metrics.live()

        await eventually(known)
        here = f"/pins/{cid}?keep=true&user-allocations={b.parts.peer}&replication=1"
        assert (await asked(client, a, "POST", f"{here}&max-size=500000"))[0] == 200
        said = await until_status(client, a, cid, b.parts.peer, "pin_error")
        assert "given up: larger than its limit of 500000 bytes: its root says that it has 10" in str(
            said["error"]
        )
        assert "retry_at" not in said
        assert (await b.parts.blocks.store.usage()).bytes < 500_000
        assert (await asked(client, b, "POST", f"/pins/{cid}?keep=true&max-size=0"))[0] == 200
        await until_status(client, a, cid, b.parts.peer, "pinned")


async def test_attempts_run_out_and_limits_stay_when_they_are_not_named(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        limits = {"max_size": 5000, "deadline": DEADLINE, "attempts": 1}
        query = f"max-size=5000&deadline={DEADLINE}&attempts=1"
        _, pin = await asked(client, node, "POST", f"/pins/{ABSENT}?{query}")
        assert list(pin)[-3:] == list(limits)
        said = await until_status(client, node, ABSENT, node.parts.peer, "pin_error")
        assert str(said["error"]).startswith("given up after 1 failed attempt: ")
        assert (await asked(client, node, "POST", f"/pins/{ABSENT}?keep=true&name=n"))[0] == 200
        for path in (f"/allocations/{ABSENT}", "/allocations", f"/pins/{ABSENT}", "/pins", "/v1/pins"):
            _, shown = await asked(client, node, "GET", path)
            assert (shown["name"], {name: shown[name] for name in limits}) == ("n", limits)
        status, refused = await asked(
            client, node, "POST", f"/pins/{ABSENT}?keep=true&deadline=2001-01-01T00:00:00Z"
        )
        assert (status, refused["message"]) == (400, "deadline is in the past: nothing would be tried")
        _, pin = await asked(client, node, "POST", f"/pins/{ABSENT}?keep=true&deadline=never&attempts=0")
        assert ("deadline" in pin, "attempts" in pin, pin["max_size"]) == (False, False, 5000)
