"""Clients that leave while a block is on its way from a real peer and from a trustless gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from support.http_gateway import HttpGateway, http_gateway, silence
from support.node import eventually, running_node
from support.p2p_networks import networks, until_peer

from bitswap.message import PROTOCOLS
from bitswap.message_codec import decode
from blockstore.block import Block
from node.config.sections import Config, GatewayConfig, RetrievalConfig, SwarmConfig

BLOCK = Block.of(b"from far away")
MARK = Block.of(b"asked for last")
PROMPT = 0.1  # seconds
ATTEMPTS = 20  # until one is prompt: other processes may have the machine for a while


@dataclass
class Asked:
    """A peer of the open network that has nothing to say, and hears what it is asked."""

    network: object
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled_at: float = 0.0

    async def on_message(self, _peer: str, _protocol: str, data: bytes) -> None:
        for entry in decode(data).entries:
            if entry.cid.multihash != BLOCK.cid.multihash:
                continue
            if entry.cancel:
                self.cancelled_at = asyncio.get_running_loop().time()
                self.cancelled.set()
            else:
                self.wanted.set()


@dataclass
class Scene:
    """A node's gateway, and the two who are asked for what it does not have."""

    host: str
    port: int
    peer: Asked
    source: HttpGateway

    async def visit(self, block: Block = BLOCK) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that asks for the block."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(
            f"GET /ipfs/{block.cid}?format=raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        return reader, writer

    async def until_both_are_asked(self) -> None:
        await self.peer.wanted.wait()
        await self.source.asked.wait()

    async def until_both_have_heard(self) -> None:
        await self.peer.cancelled.wait()
        await self.source.aborted.wait()

    def forget(self) -> None:
        for event in (self.peer.wanted, self.peer.cancelled, self.source.asked, self.source.aborted):
            event.clear()


@asynccontextmanager
async def scene(folder: Path, settings: GatewayConfig | None = None) -> AsyncIterator[Scene]:
    async with networks(1) as (_, [network]), http_gateway([BLOCK]) as source:
        peer = Asked(network)
        network.on_message(PROTOCOLS, peer.on_message)
        source.behaviour = silence
        config = Config(
            gateway=settings or GatewayConfig(),
            swarm=SwarmConfig(peers=(network.addresses()[0],)),
            retrieval=RetrievalConfig((source.url,)),
        )
        async with running_node(folder, config, offline=False) as node:
            await until_peer(network, node.parts.peer)
            at = node.faces.gateway
            yield Scene(at.host, at.port, peer, source)


async def test_a_client_that_leaves_withdraws_the_want_and_aborts_the_request_within_100_ms(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as world:
        took: list[float] = []
        while not took or (min(took) >= PROMPT and len(took) < ATTEMPTS):
            world.forget()
            _, client = await world.visit()
            await world.until_both_are_asked()
            left_at = asyncio.get_running_loop().time()
            client.close()
            await world.until_both_have_heard()
            took.append(max(world.peer.cancelled_at, world.source.aborted_at) - left_at)
        assert min(took) < PROMPT


async def test_one_of_several_clients_leaves_and_the_others_get_their_block_by_one_request(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as world:
        release = asyncio.Event()
        everybody_asks = asyncio.Event()

        async def held(request: web.Request) -> web.StreamResponse:
            if {str(BLOCK.cid), str(MARK.cid)} <= set(world.source.asked_for):
                everybody_asks.set()
            await release.wait()
            return await world.source.honest(request)

        world.source.behaviour = held
        clients = [await world.visit() for _ in range(4)]
        _, leaving = clients.pop(1)
        _, last = await world.visit(MARK)
        await everybody_asks.wait()
        leaving.close()
        await leaving.wait_closed()
        assert world.source.asked_for.count(str(BLOCK.cid)) == 1
        release.set()
        for reader, writer in clients:
            assert (await reader.read()).endswith(BLOCK.data)
            writer.close()
        assert not world.source.aborted.is_set()
        await world.peer.cancelled.wait()
        last.close()


async def test_who_did_not_answer_in_time_is_told_in_counts_and_not_by_name(tmp_path: Path) -> None:
    told = (
        "Unable to retrieve content within timeout period: no answer in 1 s "
        f"for block {BLOCK.cid}, needed for the content; cluster: no peer connected; "
        "open network: 1 peer asked, none has answered yet; "
        "trustless gateways: 1 gateway asked, none has answered yet\n"
    )
    async with scene(tmp_path, GatewayConfig(first_byte_timeout=1.0)) as world:

        async def is_told() -> bool:
            """Once both were asked within the time that a request waits."""
            reader, writer = await world.visit()
            head, _, text = (await reader.read()).decode().partition("\r\n\r\n")
            writer.close()
            assert head.startswith("HTTP/1.1 504 ")
            return text == told

        await eventually(is_told)
        await world.until_both_have_heard()
