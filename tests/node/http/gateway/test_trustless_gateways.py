"""A node whose blocks come from a trustless gateway, asked over its own gateway."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, FormData, web
from support.gateway import Gateway, file_of
from support.http_gateway import http_gateway, silence
from support.node import eventually, running_node
from support.sources import joined

from blockstore.block import Block
from blockstore.car.writer import car_stream
from blockstore.cid import CID, RAW
from blockstore.common import varint
from node.config.sections import Config, RetrievalConfig, SwarmConfig
from node.datadir.folder import DataFolder
from node.datadir.init import create_node
from node.retrieval.gateway_timeouts import GatewayTimeouts

BLOCK = Block.of(b"from far away")


@asynccontextmanager
async def node_behind(folder: Path, *urls: str, offline: bool = False) -> AsyncIterator[Gateway]:
    """A node without the open network; its gateway."""
    config = Config(swarm=SwarmConfig(enabled=False), retrieval=RetrievalConfig(tuple(urls)))
    async with running_node(folder, config, offline=offline) as node, ClientSession() as client:
        yield Gateway(node, client)


async def test_a_node_without_the_open_network_serves_what_a_gateway_has_and_keeps_it(tmp_path: Path) -> None:
    leaves = [Block.of(random.Random(n).randbytes(1000)) for n in range(40)]
    root = file_of(leaves)
    crowd = asyncio.Event()
    async with http_gateway([root, *leaves]) as source, node_behind(tmp_path, source.url) as gateway:

        async def once_many_are_asked_for(request: web.Request) -> web.StreamResponse:
            if source.running == 12:
                crowd.set()
            if len(source.requests) > 2:  # behind the root, and the first leaf that the type is told by
                await crowd.wait()
            return await source.honest(request)

        source.behaviour = once_many_are_asked_for
        answer = await gateway.get(f"/ipfs/{root.cid}")
        assert answer.body == b"".join(leaf.data for leaf in leaves)
        asked = source.asked_for.copy()
        assert set(asked) == {str(block.cid) for block in [root, *leaves]}
        assert (await gateway.get(f"/ipfs/{root.cid}")).body == answer.body
        assert source.asked_for == asked


async def test_a_block_that_no_gateway_has_is_404_at_once_with_what_was_tried(tmp_path: Path) -> None:
    async with (
        http_gateway() as one,
        http_gateway() as other,
        node_behind(tmp_path, one.url, other.url) as gateway,
    ):
        tried = "trustless gateways: 2 gateways asked, none has it; cluster: no peer connected"

        async def told_before_any_gateway_is_late() -> bool:
            began = asyncio.get_running_loop().time()
            answer = await gateway.get(f"/ipfs/{BLOCK.cid}")
            assert (answer.status, answer.text) == (404, f"block {BLOCK.cid} not found: {tried}\n")
            return asyncio.get_running_loop().time() - began < GatewayTimeouts().hedge

        await eventually(told_before_any_gateway_is_late)  # not at once on a busy machine


async def test_who_could_not_answer_makes_it_504_and_later_is_another_time(tmp_path: Path) -> None:
    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with (
        http_gateway() as one,
        http_gateway() as other,
        node_behind(tmp_path, one.url, other.url) as us,
    ):
        one.behaviour = broken
        answer = await us.get(f"/ipfs/{BLOCK.cid}")
        assert answer.status == 504
        # It fails, and where one request asks it twice, it is left alone by then.
        told = r"trustless gateways: 2 gateways asked: 1 without it, 1 (failing|left alone after earlier)"
        assert re.search(told, answer.text)
        assert int(answer.headers["Retry-After"]) > 0


async def test_an_offline_node_asks_no_gateway(tmp_path: Path) -> None:
    async with http_gateway([BLOCK]) as source, node_behind(tmp_path, source.url, offline=True) as gateway:
        assert (await gateway.get(f"/ipfs/{BLOCK.cid}")).status == 404
        assert source.requests == []


async def test_a_denylisted_block_is_asked_of_no_gateway(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    create_node(folder, None, "tester")
    folder.denylists.mkdir(exist_ok=True)
    leaves = [Block.of(b"good"), Block.of(b"bad")]
    (folder.denylists / "own.deny").write_text(f"/ipfs/{leaves[1].cid}\n")
    root = file_of(leaves)
    async with http_gateway([root, *leaves]) as source, node_behind(tmp_path, source.url) as gateway:
        assert (await gateway.get(f"/ipfs/{leaves[1].cid}")).status == 410
        await gateway.get(f"/ipfs/{root.cid}")
        assert str(root.cid) in source.asked_for
        assert str(leaves[1].cid) not in source.asked_for


async def test_a_hash_that_cannot_be_verified_is_not_asked_for(tmp_path: Path) -> None:
    unknown = CID.v1(RAW, varint.encode(0x300777) + varint.encode(32) + bytes(32))
    async with http_gateway() as source, node_behind(tmp_path, source.url) as gateway:
        answer = await gateway.get(f"/ipfs/{unknown}")
        assert (answer.status, "cannot be verified" in answer.text) == (400, True)
        assert source.requests == []


async def test_a_client_that_leaves_in_the_middle_of_a_file_ends_what_is_fetched_ahead_of_it(
    tmp_path: Path,
) -> None:
    leaves = [Block.of(random.Random(n).randbytes(256 * 1024)) for n in range(12)]
    root = file_of(leaves)
    stuck = {str(leaf.cid) for leaf in leaves[6:]}
    async with http_gateway([root, *leaves]) as source, node_behind(tmp_path, source.url) as gateway:
        held = asyncio.Event()

        async def behave(request: web.Request) -> web.StreamResponse:
            if request.match_info["cid"] in stuck:
                held.set()
                await silence(request)
            return await source.honest(request)

        source.behaviour = behave
        at = gateway.node.faces.gateway
        reader, writer = await asyncio.open_connection(at.host, at.port)
        writer.write(f"GET /ipfs/{root.cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(leaves[0].data))
        await held.wait()
        left_at = asyncio.get_running_loop().time()
        writer.close()
        while source.running:
            source.aborted.clear()
            await source.aborted.wait()
        assert source.aborted_at - left_at < GatewayTimeouts().headers / 4  # it did not end of itself


@pytest.mark.parametrize(
    "way", ["rpc/api/v0/dag/import?pin-roots=false", "rpc/api/v0/block/put", "api/add?format=car",
            "api/add?cid-version=1"],
)  # fmt: skip
async def test_who_waits_for_a_block_gets_it_when_it_comes_here_on_another_way(
    tmp_path: Path, way: str
) -> None:
    async def blocks() -> AsyncGenerator[Block]:
        yield BLOCK

    content = (
        await joined(car_stream([BLOCK.cid], blocks())) if "import" in way or "car" in way else BLOCK.data
    )
    face, _, path = way.partition("/")
    async with (
        http_gateway() as source,
        node_behind(tmp_path, source.url) as gateway,
        ClientSession() as other,
    ):
        source.behaviour = silence
        waiting = asyncio.create_task(gateway.get(f"/ipfs/{BLOCK.cid}?format=raw"))
        await source.asked.wait()
        form = FormData()
        form.add_field("file", content, filename="file")
        async with other.post(f"{getattr(gateway.node.faces, face).url}/{path}", data=form) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
        assert (await waiting).body == BLOCK.data
