"""Limits on what is moved: as blocks go in bulk, by Bitswap and by HTTP. How exactly: `test_throttle.py`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.bulk import SETTINGS, admit_all, bulk_member
from support.gateway import file_of
from support.http_gateway import http_gateway
from support.node import running_node
from support.p2p_networks import LOOPBACK

from bitswap.exchange import BitswapExchange, BitswapSettings, open_bitswap
from blockstore.block import Block
from blockstore.common.throttle import BothWays, Throttle, unlimited
from blockstore.memory_store import MemoryBlockstore
from node.config.sections import Config, NetworkConfig
from node.datadir.identity import Identity
from node.p2p.network import NetworkSettings, open_network
from node.p2p.portal import Portal, open_portal
from node.retrieval.gateway_pool import open_gateways

MIB = 1024 * 1024
BLOCKS = [Block.of(os.urandom(MIB // 4)) for _ in range(8)]
LEAST = 0.4  # seconds that they take at 4 MiB a second, less the burst


def ends(way: str, rate: int = 4 * MIB) -> tuple[BothWays, BothWays]:
    """Of who takes and of who gives: the one is limited on its way down, or the other on its way up."""
    taker, giver = unlimited(), unlimited()
    limited = Throttle(lambda: rate)
    return (taker, giver._replace(up=limited)) if way == "up" else (taker._replace(down=limited), giver)


@pytest.mark.parametrize("way", ["up", "down"])
async def test_blocks_in_bulk_are_given_and_taken_at_the_limit(way: str) -> None:
    here, there = ends(way)
    async with (
        bulk_member(replace(SETTINGS, limits=here)) as a,
        bulk_member(replace(SETTINGS, limits=there)) as b,
    ):
        admit_all(a, b)
        await a.reaches(b)
        await b.source.store.put_many(BLOCKS)
        begun = time.monotonic()
        assert await a.fetch(BLOCKS, b) == BLOCKS
        assert time.monotonic() - begun > LEAST
        assert (here.down.passed().total, there.up.passed().total) >= (2 * MIB, 2 * MIB)


@asynccontextmanager
async def bitswap_peer(portal: Portal, limits: BothWays) -> AsyncIterator[tuple[str, BitswapExchange]]:
    """Its address; it gives BLOCKS."""
    store = MemoryBlockstore()
    await store.put_many(BLOCKS)
    settings = NetworkSettings("test", LOOPBACK)
    async with (
        open_network(portal, Identity.generate(), settings, down=limits.down) as network,
        open_bitswap(store, network, BitswapSettings(up=limits.up)) as bitswap,
    ):
        yield network.addresses()[0], bitswap


@pytest.mark.parametrize("way", ["up", "down"])
async def test_blocks_by_bitswap_are_given_and_taken_at_the_limit(way: str) -> None:
    here, there = ends(way)
    settings = NetworkSettings("test", LOOPBACK)
    async with (
        open_portal() as portal,
        bitswap_peer(portal, there) as (address, _),
        open_network(portal, Identity.generate(), settings, down=here.down) as network,
        open_bitswap(MemoryBlockstore(), network, BitswapSettings(up=here.up)) as bitswap,
    ):
        await network.connect(address)
        begun = time.monotonic()
        assert await asyncio.gather(*(bitswap.fetch(block.cid) for block in BLOCKS)) == BLOCKS
        assert time.monotonic() - begun > LEAST
        assert bitswap.statistics().duplicate_blocks == 0
        assert (here.down.passed().total, there.up.passed().total) >= (2 * MIB, 2 * MIB)


async def test_trustless_gateways_are_read_at_the_limit() -> None:
    limited = Throttle(lambda: 4 * MIB)
    async with http_gateway(BLOCKS) as gateway, open_gateways([gateway.url], down=limited) as gateways:
        begun = time.monotonic()
        assert await asyncio.gather(*(gateways.fetch(block.cid) for block in BLOCKS)) == BLOCKS
        assert time.monotonic() - begun > LEAST


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_gateway_gives_all_its_clients_together_no_more_than_the_limit(
    tmp_path: Path, streamed: bool
) -> None:
    config = Config(network=NetworkConfig(("gateway up 4MiB",)))
    async with running_node(tmp_path, config) as node, ClientSession() as client:
        root = file_of(BLOCKS)
        await node.parts.store.put_many([root, *BLOCKS])

        async def size(path: str) -> int:
            async with client.get(f"{node.faces.gateway.url}/ipfs/{path}") as answer:
                return len(await answer.read())

        paths = [f"{root.cid}"] if streamed else [f"{block.cid}?format=raw" for block in BLOCKS]
        begun = time.monotonic()
        assert sum(await asyncio.gather(*map(size, paths))) == 2 * MIB
        assert time.monotonic() - begun > LEAST
        async with client.get(f"{node.faces.api.url}/v1/stats") as answer:
            told = (await answer.json())["bandwidth"]
        assert told["gateway"]["up"]["limit"] == 4 * MIB
        assert told["gateway"]["up"]["bytes"] >= 2 * MIB
        assert told["open"]["down"] == {"limit": None, "bytes": 0, "rate": 0}
