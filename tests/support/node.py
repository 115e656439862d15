"""A whole node in a test: its own folder, any free ports, no network unless asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from node.config.sections import Config
from node.datadir.folder import DataFolder
from node.datadir.init import create_node
from node.node import Node, open_node


def any_ports(config: Config) -> Config:
    """The same settings, listening wherever there is room."""
    return replace(
        config,
        gateway=replace(config.gateway, port=0),
        rpc=replace(config.rpc, port=0),
        api=replace(config.api, port=0),
        swarm=replace(config.swarm, port=0),
        cluster=replace(config.cluster, port=0, host="127.0.0.1"),
        metrics=replace(config.metrics, port=0),
        pinning=replace(config.pinning, port=0),
        bulk=replace(config.bulk, port=0),
    )


@asynccontextmanager
async def running_node(
    root: Path, config: Config | None = None, *, offline: bool = True, token: str | None = None
) -> AsyncIterator[Node]:
    """A node on that folder, set up first where it is not."""
    folder = DataFolder(root)
    if not folder.exists:
        create_node(folder, token, "tester")
    async with open_node(any_ports(config or Config()), folder, offline=offline) as node:
        yield node


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Ask a node over HTTP again and again, as its clients do; the test's timeout ends what never comes."""
    while not await check():  # noqa: ASYNC110 - on this side of HTTP there is no event to wait for
        await asyncio.sleep(0.02)
