"""POST /v1/gc: what was unpinned a moment before goes, and the lines say how far it is."""

from __future__ import annotations

import json
import random
from pathlib import Path

from aiohttp import ClientSession
from support.dags import leaves
from support.node import eventually, running_node
from support.pairs import add

from blockstore.cid import CID, RAW
from node.node import Node

DATA = random.Random(5).randbytes(900_000)


async def pinned(client: ClientSession, node: Node, root: str) -> None:
    async def check() -> bool:
        async with client.get(f"{node.faces.api.url}/pins/{root}?local=true") as answer:
            return bool((await answer.json())["peer_map"][node.parts.peer]["status"] == "pinned")

    await eventually(check)


async def test_a_collection_right_behind_an_unpin_frees_all_of_it_and_says_so(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        kept = await add(client, node, "kept", b"kept")
        for round_ in range(3):
            root = await add(client, node, "x", DATA + bytes([round_]), "?chunker=size-20000")
            await pinned(client, node, root)
            async with client.delete(f"{node.faces.api.url}/pins/{root}") as answer:
                assert answer.status == 200
            async with client.post(f"{node.faces.api.url}/v1/gc") as answer:
                lines = [json.loads(line) for line in (await answer.text()).splitlines()]
            assert str(CID.v1(RAW, CID.parse(root).multihash)) in {line.get("cid") for line in lines}
            last = lines[-1]
            assert last["bytes"] > len(DATA)
            assert last["removed"] == sum("cid" in line for line in lines) > 30
            assert lines[0]["marking"]["roots"] > 0
        assert await node.parts.store.has(CID.parse(kept))


async def test_a_client_that_leaves_ends_the_collection_and_another_goes_on_with_it(tmp_path: Path) -> None:
    blocks = leaves(200, size=500_000)
    async with running_node(tmp_path) as node, ClientSession() as client:
        for start in range(0, 200, 20):
            await node.parts.store.put_many(blocks[start : start + 20])
        url = f"{node.faces.api.url}/v1/gc"
        async with client.post(url) as answer:
            await answer.content.readline()

        async def collected() -> bool:
            async with client.post(url) as answer:
                return answer.status == 200 and "removed" in (await answer.text()).splitlines()[-1]

        await eventually(collected)
        assert (await node.parts.store.usage()).blocks == 0
