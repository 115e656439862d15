"""Two whole nodes in one process, and what a client does with them over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import ClientSession, FormData

from cluster.interfaces import Role
from node.config.sections import Config, GatewayConfig
from node.node import Node
from support.node import running_node


def quick() -> Config:
    """Only the cluster's network; metrics often, so that the test does not wait for them."""
    config = Config()
    return replace(
        config,
        swarm=replace(config.swarm, enabled=False),
        cluster=replace(config.cluster, metric_interval=0.5, mdns=False),
    )


@asynccontextmanager
async def two_nodes(
    tmp_path: Path, gateway: GatewayConfig | None = None
) -> AsyncIterator[tuple[Node, Node, ClientSession]]:
    """The founder, the one it invited, and an HTTP client. `gateway` is for the second."""
    config = quick()
    invited = replace(config, gateway=gateway or GatewayConfig())
    async with running_node(tmp_path / "a", config, offline=False) as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        async with (
            running_node(tmp_path / "b", invited, offline=False, token=token) as b,
            ClientSession() as client,
        ):
            yield a, b, client


async def add(client: ClientSession, node: Node, name: str, data: bytes, query: str = "") -> str:
    """The root's CID."""
    form = FormData()
    form.add_field("file", data, filename=name)
    async with client.post(f"{node.faces.api.url}/add{query}", data=form) as answer:
        return str(json.loads((await answer.text()).splitlines()[-1])["cid"])
