"""Two gateways over real sockets: the first is bad in some way, the second has everything at hand."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from support.gateway import file_of
from support.http_gateway import Behaviour, HttpGateway, http_gateway, silence
from support.sources import joined

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.car.writer import car_stream
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.reader import read_file
from node.retrieval.gateway_pool import open_gateways
from node.retrieval.gateway_timeouts import GatewayTimeouts

SOON = 0.2  # seconds that a gateway has before the next one is asked too
NEVER = 600.0  # seconds: a test that waits for it fails by its timeout
FILES = [[Block.of(random.Random(20 * f + n).randbytes(50_000)) for n in range(20)] for f in range(3)]
BLOCKS = [block for leaves in FILES for block in (file_of(leaves), *leaves)]
DATA = {str(block.cid): block for block in BLOCKS}


async def drips(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for byte in DATA[request.match_info["cid"]].data:
        await response.write(bytes([byte]))
        await asyncio.sleep(0.05)
    return response


async def cuts(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "50000"})
    await response.prepare(request)
    await response.write(DATA[request.match_info["cid"]].data[:20_000])
    assert request.transport is not None
    request.transport.close()
    return response


async def lies(_request: web.Request) -> web.Response:
    return web.Response(body=b"something else")


async def is_busy(_request: web.Request) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": "60"})


async def sends_a_car(request: web.Request) -> web.Response:
    async def blocks() -> AsyncGenerator[Block, None]:
        yield DATA[request.match_info["cid"]]

    block = DATA[request.match_info["cid"]]
    headers = {"Content-Type": "application/vnd.ipld.car; version=1"}
    return web.Response(body=await joined(car_stream([block.cid], blocks())), headers=headers)


@asynccontextmanager
async def two(
    behaviour: Behaviour, hedge: float = SOON, rest: float = 1.0
) -> AsyncIterator[tuple[HttpGateway, HttpGateway, Blocks]]:
    patience = GatewayTimeouts(headers=NEVER, block=NEVER, hedge=hedge, rest=rest)
    async with http_gateway(BLOCKS) as bad, http_gateway(BLOCKS) as good:
        bad.behaviour = behaviour
        async with open_gateways([bad.url, good.url], patience) as gateways:
            yield bad, good, Blocks(MemoryBlockstore(), gateways)


async def read(blocks: Blocks, leaves: list[Block]) -> float:
    """Seconds that a file took."""
    began, root = asyncio.get_running_loop().time(), file_of(leaves).cid
    data = await joined(read_file(blocks.session(root), root))
    assert data == b"".join(leaf.data for leaf in leaves)
    return asyncio.get_running_loop().time() - began


def assert_asked_for_all(gateway: HttpGateway) -> None:
    """Once each; the first block of a file once more, where its batch is late on a busy machine."""
    assert set(gateway.asked_for) == set(DATA)
    assert len(gateway.requests) <= len(BLOCKS) + len(FILES)


@pytest.mark.parametrize("behaviour", [silence, drips])
async def test_a_slow_gateway_costs_one_file_a_moment_and_the_next_ones_nothing(behaviour: Behaviour) -> None:
    async with two(behaviour) as (bad, good, blocks):
        assert await read(blocks, FILES[0]) > SOON
        asked = len(bad.requests)
        for leaves in FILES[1:]:
            await read(blocks, leaves)
        assert len(bad.requests) == asked
        assert_asked_for_all(good)


@pytest.mark.parametrize("behaviour", [lies, is_busy, cuts, sends_a_car])
async def test_a_gateway_that_fails_passes_its_turn_on_at_once(behaviour: Behaviour) -> None:
    async with two(behaviour, hedge=NEVER) as (_, good, blocks):
        for leaves in FILES:
            await read(blocks, leaves)
        assert_asked_for_all(good)


async def test_a_gateway_that_proved_slow_is_not_given_up_for_good() -> None:
    async with two(silence) as (bad, good, blocks):
        await read(blocks, FILES[0])
        bad.behaviour, good.behaviour = None, silence
        for leaves in FILES[1:]:
            await read(blocks, leaves)


async def test_a_hiccup_of_the_only_one_that_has_it_is_waited_for() -> None:
    async with two(cuts, rest=0.01) as (bad, good, blocks):
        good.blocks.clear()

        async def once(request: web.Request) -> web.StreamResponse:
            return await (cuts if len(bad.requests) == 1 else bad.honest)(request)

        bad.behaviour = once
        await read(blocks, FILES[0])
