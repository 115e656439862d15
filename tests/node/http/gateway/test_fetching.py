"""Content that is not here: fetched, waited for with patience, withdrawn when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.gateway import Answer, directory
from support.ipns import Key
from support.node import running_node

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchOutcome, FetchReport
from node.http.gateway.app import gateway_app
from node.http.listener import Listener, ListenerSettings, listen
from node.node import Node
from node.retrieval.root_blocks import RootBlocks

BLOCK = Block.of(b"from far away")


class Peers:
    """An exchange whose peers have `blocks`; everything else is wanted until the want is withdrawn."""

    def __init__(self, *blocks: Block) -> None:
        self.blocks = {block.cid: block for block in blocks}
        self.hints: list[tuple[str, ...]] = []
        self.wanted = asyncio.Event()
        self.withdrawn = asyncio.Event()

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        self.hints.append(tuple(hints))
        assert progress is not None
        progress.follow(self.reports)
        if cid in self.blocks:
            return self.blocks[cid]
        self.wanted.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.withdrawn.set()
        raise AssertionError

    def reports(self) -> tuple[FetchReport, ...]:
        return (
            FetchReport("open network", connected=3, outcomes=(FetchOutcome.LACKING, FetchOutcome.WAITING)),
        )

    def session(self, root: CID) -> Peers:
        return self


@asynccontextmanager
async def gateway(
    tmp_path: Path,
    peers: Peers,
    holders: Sequence[str] = (),
    patience: float = 30.0,
    negative_ttl: float = 10.0,
) -> AsyncIterator[tuple[Node, Listener]]:
    """The gateway of a node whose only way out are these peers."""

    async def look_up(root: CID) -> Sequence[str]:
        return holders

    async with running_node(tmp_path) as node:
        blocks = Blocks(node.parts.store, peers)
        config = node.parts.config
        parts = replace(
            node.parts,
            config=replace(
                config,
                gateway=replace(config.gateway, first_byte_timeout=patience, negative_ttl=negative_ttl),
            ),
            content=lambda root, in_flight: RootBlocks(blocks, root, look_up, in_flight=in_flight),
        )
        async with listen(gateway_app(parts), ListenerSettings("gateway", "127.0.0.1", 0)) as listener:
            yield node, listener


async def get(url: str) -> tuple[int, bytes]:
    answer = await asked(url)
    return answer.status, answer.body


async def asked(url: str) -> Answer:
    async with ClientSession() as client, client.get(url) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


async def test_what_a_peer_has_is_fetched_from_the_pins_holders_first_and_kept(tmp_path: Path) -> None:
    peers = Peers(BLOCK)
    async with gateway(tmp_path, peers, holders=("holder",)) as (node, listener):
        assert await get(f"{listener.url}/ipfs/{BLOCK.cid}") == (200, BLOCK.data)
        assert peers.hints == [("holder",)]
        assert await node.parts.store.has(BLOCK.cid)
        assert await get(f"{listener.url}/ipfs/{BLOCK.cid}") == (200, BLOCK.data)
        assert len(peers.hints) == 1


async def test_content_that_does_not_come_in_time_is_504_with_a_plain_diagnosis(tmp_path: Path) -> None:
    peers = Peers()
    async with gateway(tmp_path, peers, patience=0.4) as (_, listener):
        status, body = await get(f"{listener.url}/ipfs/{BLOCK.cid}")
        assert status == 504
        assert b"Unable to retrieve content within timeout period" in body
        assert f"no answer in 0.4 s for block {BLOCK.cid}, needed for the content".encode() in body
        assert b"open network: 2 peers asked: 1 without it, 1 yet to answer" in body
        assert peers.withdrawn.is_set()


async def test_the_want_is_withdrawn_when_the_client_leaves(tmp_path: Path) -> None:
    peers = Peers()
    async with gateway(tmp_path, peers) as (_, listener):
        _, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(f"GET /ipfs/{BLOCK.cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await peers.wanted.wait()
        writer.close()
        await peers.withdrawn.wait()


async def test_a_directory_whose_root_is_here_is_listed_without_fetching_its_entries(tmp_path: Path) -> None:
    peers = Peers()
    leaf = BLOCK.cid
    link = b"\x0a" + bytes([len(bytes(leaf))]) + bytes(leaf) + b"\x12\x01a\x18\x0d"
    directory = Block.of(b"\x12" + bytes([len(link)]) + link + b"\x0a\x02\x08\x01", DAG_PB)
    async with gateway(tmp_path, peers) as (node, listener):
        await node.parts.blocks.put_many([directory])
        status, body = await get(f"{listener.url}/ipfs/{CID.v1(DAG_PB, directory.cid.multihash)}/")
        assert status == 200
        assert b">a</a>" in body
        assert not peers.wanted.is_set()


async def test_only_if_cached_asks_nobody_for_anything(tmp_path: Path) -> None:
    folder = directory({"leaf": BLOCK.cid})
    peers = Peers(BLOCK)
    only_here = ClientSession(headers={"Cache-Control": "only-if-cached"})
    async with gateway(tmp_path, peers) as (node, listener), only_here as client:
        await node.parts.blocks.put_many([folder])
        for path in (f"/ipfs/{BLOCK.cid}", f"/ipfs/{folder.cid}/leaf", f"/ipns/{Key(1).name}"):
            for suffix in ("", "?format=raw", "?format=car", "?format=tar"):
                for method in ("GET", "HEAD"):
                    async with client.request(method, f"{listener.url}{path}{suffix}") as answer:
                        assert (answer.status, peers.hints) == (412, [])
        async with client.get(f"{listener.url}/ipfs/{folder.cid}/") as listing:
            assert listing.status == 200


async def test_what_could_not_be_had_is_answered_alike_for_a_while_without_looking_again(
    tmp_path: Path,
) -> None:
    peers = Peers()
    async with gateway(tmp_path, peers, patience=0.4) as (_, listener):
        first = await asked(f"{listener.url}/ipfs/{BLOCK.cid}")
        again = await asked(f"{listener.url}/ipfs/{BLOCK.cid}")
        assert (again.status, again.body) == (first.status, first.body) == (504, first.body)
        assert 1 <= int(again.headers["Retry-After"]) <= 10
        assert len(peers.hints) == 1


async def test_a_block_that_nobody_has_is_answered_alike_for_a_while_too(tmp_path: Path) -> None:
    peers = Nobody()
    async with gateway(tmp_path, peers) as (node, listener):
        first = await asked(f"{listener.url}/ipfs/{BLOCK.cid}")
        again = await asked(f"{listener.url}/ipfs/{BLOCK.cid}?format=raw")
        assert (again.status, again.body) == (first.status, first.body) == (404, first.body)
        assert 1 <= int(again.headers["Retry-After"]) <= 10
        assert peers.asked == 1
        await node.parts.store.put_many([BLOCK])
        assert await get(f"{listener.url}/ipfs/{BLOCK.cid}?format=raw") == (200, BLOCK.data)


async def test_what_the_gateway_could_not_have_is_fetched_for_others_all_the_same(tmp_path: Path) -> None:
    peers = Nobody()
    async with gateway(tmp_path, peers) as (node, listener):
        await get(f"{listener.url}/ipfs/{BLOCK.cid}")
        with pytest.raises(BlockNotFound):
            await Blocks(node.parts.store, peers).get(BLOCK.cid)
        assert peers.asked == 2


async def test_without_a_negative_ttl_every_request_looks_again(tmp_path: Path) -> None:
    peers = Nobody()
    async with gateway(tmp_path, peers, negative_ttl=0) as (_, listener):
        for _ in range(3):
            assert (await asked(f"{listener.url}/ipfs/{BLOCK.cid}")).status == 404
        assert peers.asked == 3


class Nobody(Peers):
    """Peers of whom none has anything, and who say so."""

    asked = 0

    def reports(self) -> tuple[FetchReport, ...]:
        return (
            FetchReport("open network", connected=2, outcomes=(FetchOutcome.LACKING, FetchOutcome.LACKING)),
        )

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        self.asked += 1
        raise BlockNotFound.after(cid, *self.reports())
