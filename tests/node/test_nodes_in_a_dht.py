"""Whole nodes that know one DHT server: what one adds, another finds, though they never met."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import ClientSession
from support.node import eventually, running_node
from support.pairs import add

from blockstore.cid import CID
from node.config.sections import Config
from node.node import Node


@dataclass(frozen=True)
class Three:
    """Nodes of clusters of their own."""

    server: Node
    one: Node
    other: Node
    http: ClientSession


def config(dht: str, peers: tuple[str, ...] = (), strategy: str = "roots") -> Config:
    settings = Config()
    return replace(
        settings,
        swarm=replace(settings.swarm, peers=peers),
        routing=replace(settings.routing, dht=dht),
        provide=replace(settings.provide, strategy=strategy),
    )


@asynccontextmanager
async def three(tmp_path: Path, strategy: str = "roots") -> AsyncIterator[Three]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        server = await enter(running_node(tmp_path / "server", config("server"), offline=False))
        assert server.parts.swarm is not None
        peers = tuple(server.parts.swarm.addresses(server.parts.peer))
        one = await enter(running_node(tmp_path / "one", config("client", peers, strategy), offline=False))
        other = await enter(running_node(tmp_path / "other", config("client", peers), offline=False))
        yield Three(server, one, other, await enter(ClientSession()))


async def provide_stat(nodes: Three, node: Node) -> dict[str, dict[str, object]]:
    async with nodes.http.post(f"{node.faces.rpc.url}/api/v0/provide/stat", params={"lan": "true"}) as answer:
        found: dict[str, dict[str, dict[str, object]]] = json.loads(await answer.text())
        return found["Sweep"]


async def test_what_one_adds_another_finds_and_fetches(tmp_path: Path) -> None:
    async with three(tmp_path) as nodes:
        root = await add(nodes.http, nodes.one, "x.txt", b"found by nobody's help")

        async def told() -> bool:
            stat = await provide_stat(nodes, nodes.one)
            return bool(stat["operations"]["past"]["keys_provided"])  # type: ignore[index]  # JSON

        await eventually(told)
        async with nodes.http.get(f"{nodes.other.faces.gateway.url}/ipfs/{root}") as answer:
            assert await answer.read() == b"found by nobody's help"


async def test_a_node_that_provides_nothing_is_not_found(tmp_path: Path) -> None:
    async with three(tmp_path, strategy="none") as nodes:
        root = await add(nodes.http, nodes.one, "x.txt", b"kept to itself")
        async with nodes.http.post(f"{nodes.one.faces.rpc.url}/api/v0/provide/stat") as answer:
            assert answer.status == 500
            assert "provide.strategy" in await answer.text()
        assert [one async for one in nodes.other.parts.router.providers(CID.parse(root))] == []
