"""Two nodes on the open network: what went to and fro, as the APIs and the command tell it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import ClientSession
from click.testing import CliRunner
from support.json_value import Json
from support.node import eventually, running_node

from blockstore.block import Block
from node.cli.main import cli
from node.config.sections import Config
from node.node import Node

BLOCK = Block.of(b"given" * 100)


@dataclass(frozen=True)
class Pair:
    """The one has given a block to the other."""

    giver: Node
    taker: Node
    client: ClientSession

    async def rpc(self, node: Node, command: str) -> Json:
        async with self.client.post(f"{node.faces.rpc.url}/api/v0/{command}") as answer:
            assert answer.status == 200, await answer.text()
            return json.loads(await answer.text())

    async def peers(self, node: Node, query: str = "?ledger=true") -> list[Json]:
        async with self.client.get(f"{node.faces.api.url}/v1/swarm/peers{query}") as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return [json.loads(line) for line in text.splitlines()]


@asynccontextmanager
async def pair(tmp_path: Path, config: Config | None = None) -> AsyncIterator[Pair]:
    config = config or Config()
    async with (
        running_node(tmp_path / "a", config, offline=False) as giver,
        running_node(tmp_path / "b", config, offline=False) as taker,
        ClientSession() as client,
    ):
        found = Pair(giver, taker, client)
        assert giver.parts.swarm is not None
        await giver.parts.store.put_many([BLOCK])
        (address,) = giver.parts.swarm.addresses(giver.parts.peer)
        await found.rpc(taker, f"swarm/connect?arg={address}")
        async with client.get(f"{taker.faces.gateway.url}/ipfs/{BLOCK.cid}") as answer:
            assert await answer.read() == BLOCK.data

        async def counted() -> bool:
            return giver.parts.bitswap["swarm"].ledger(taker.parts.peer).blocks_sent == 1

        await eventually(counted)
        yield found


async def test_each_end_tells_what_it_gave_and_got(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        giver, taker, size = nodes.giver.parts.peer, nodes.taker.parts.peer, len(BLOCK.data)
        (seen,) = await nodes.peers(nodes.giver)
        assert (seen["peer"], seen["connected"]) == (taker, True)
        assert (seen["ledger"]["bytes_sent"], seen["ledger"]["blocks_sent"]) == (size, 1)
        (seen,) = await nodes.peers(nodes.taker)
        assert (seen["ledger"]["bytes_received"], seen["ledger"]["blocks_received"]) == (size, 1)
        assert seen["addresses"][0].endswith(f"/p2p/{giver}")
        (seen,) = await nodes.peers(nodes.taker, "")
        assert "ledger" not in seen
        assert await nodes.rpc(nodes.giver, f"bitswap/ledger?arg={taker}") == {
            "Peer": taker,
            "Value": float(size),
            "Sent": size,
            "Recv": 0,
            "Exchanged": 1,
        }
        assert (await nodes.rpc(nodes.giver, f"bitswap/ledger?arg={giver}"))["Exchanged"] == 0
        told = await nodes.rpc(nodes.taker, "bitswap/stat")
        assert (told["Peers"], told["BlocksReceived"], told["DataReceived"]) == ([giver], 1, size)
        assert told["Wantlist"] == (await nodes.rpc(nodes.taker, "bitswap/wantlist"))["Keys"] == []
        said = await asyncio.to_thread(
            CliRunner().invoke, cli, ["--path", str(tmp_path / "a"), "swarm", "peers", "--ledger"]
        )
        lines = said.stdout.splitlines()
        assert lines[0] == taker
        assert lines[-2:] == [
            f"  sent {size} B in 1 blocks, received 0 B in 0 blocks",
            "  wants 0 (0 B queued), asked for 0",
        ]


async def test_wants_of_a_peer_are_told_while_it_waits_and_bounded_by_the_setting(tmp_path: Path) -> None:
    config = Config()
    config = replace(config, swarm=replace(config.swarm, peer_wants=64))
    async with pair(tmp_path, config) as nodes:
        missing = [Block.of(b"nowhere %d" % number).cid for number in range(100)]
        asked = [asyncio.create_task(nodes.taker.parts.blocks.get(cid)) for cid in missing]

        async def all_told() -> bool:
            (seen,) = await nodes.peers(nodes.giver)
            return bool(seen["ledger"]["wants"] == 64)

        await eventually(all_told)
        keys = (await nodes.rpc(nodes.giver, f"bitswap/wantlist?peer={nodes.taker.parts.peer}"))["Keys"]
        assert len(keys) == 64
        assert {key["/"] for key in keys} <= set(map(str, missing))
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)
