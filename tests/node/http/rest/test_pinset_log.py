"""The pinset's log over REST and on the command line, at a real node."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import ClientSession
from click.testing import CliRunner
from support.json_value import Json
from support.node import running_node
from support.pinset_member import some_pin

from node.cli.main import cli
from node.node import Node


async def ask(node: Node, client: ClientSession, method: str, path: str) -> tuple[int, list[Json]]:
    async with client.request(method, node.faces.api.url + path) as answer:
        return answer.status, [json.loads(line) for line in (await answer.text()).splitlines()]


async def typed(folder: Path, *words: str) -> str:
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["--path", str(folder), *words])
    assert done.exit_code == 0, done.output
    return done.output


async def test_a_node_alone_lacks_nothing_and_cuts_all(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        peer = node.parts.peer
        for number in range(3):
            await node.parts.pinset.put(some_pin(number))
        status, (lag,) = await ask(node, client, "GET", "/v1/sync")
        assert (status, lag["peer"], lag["behind"]) == (200, peer, [])
        assert await ask(node, client, "POST", "/v1/sync") == (200, [{"asked": 0}])
        assert (await ask(node, client, "POST", "/v1/sync?wait=true"))[0] == 204
        _, kept = await ask(node, client, "POST", "/v1/compact?keep_mib=1")
        assert kept[-1]["cut"] == {"batches": 0, "bytes": 0}
        status, steps = await ask(node, client, "POST", "/v1/compact")
        assert status == 200
        assert (steps[-1]["cut"]["batches"], steps[-1]["left"]["batches"], steps[-1]["kept_for"]) == (
            3,
            0,
            [],
        )
        assert (await ask(node, client, "POST", "/v1/compact?keep_mib=-1"))[0] == 400
        assert await node.parts.pinset.count() == 3


@pytest.mark.parametrize("as_json", [False, True])
async def test_the_commands_say_it_to_people_and_to_programs(tmp_path: Path, as_json: bool) -> None:
    async with running_node(tmp_path) as node:
        await node.parts.pinset.put(some_pin(1))
        folder, option = tmp_path / "node", ["--json"] if as_json else []
        folder = folder if folder.exists() else tmp_path
        lag = await typed(folder, "cluster", "sync", "--wait", *option)
        cut = await typed(folder, "cluster", "compact", *option)
        if as_json:
            assert json.loads(lag)["behind"] == []
            assert json.loads(cut)["cut"]["batches"] == 1
        else:
            assert "has all, as of " in lag
            assert "cut 1 batches (" in cut
            assert "0 batches (0 B) stay" in cut
