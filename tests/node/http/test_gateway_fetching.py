"""Content that is not here: fetched, waited for with patience, withdrawn when the client leaves."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import ClientSession
from support.gateway import directory
from support.ipns import Key
from support.node import running_node

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.service import Blocks
from node.http.gateway.app import gateway_app
from node.http.server import listen
from node.retrieval.content import ContentBlocks

BLOCK = Block.of(b"from far away")


class Peers:
    """An exchange whose peers have `blocks`; everything else is wanted until the want is withdrawn."""

    def __init__(self, *blocks):
        self.blocks = {block.cid: block for block in blocks}
        self.hints = []
        self.wanted = asyncio.Event()
        self.withdrawn = asyncio.Event()

    async def fetch(self, cid, hints=()):
        self.hints.append(tuple(hints))
        if cid in self.blocks:
            return self.blocks[cid]
        self.wanted.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.withdrawn.set()

    async def announce(self, cids):
        pass

    def session(self, root):
        return self


@asynccontextmanager
async def gateway(tmp_path, peers, holders=(), patience=30.0):
    """The gateway of a node whose only way out are these peers."""

    async def look_up(root):
        return holders

    async with running_node(tmp_path) as node:
        blocks = Blocks(node.parts.store, peers)
        config = node.parts.config
        parts = replace(
            node.parts,
            config=replace(config, gateway=replace(config.gateway, first_byte_timeout=patience)),
            content=lambda root: ContentBlocks(blocks, root, look_up),
        )
        async with listen(gateway_app(parts), "gateway", "127.0.0.1", 0) as listener:
            yield node, listener


async def get(url):
    async with ClientSession() as client, client.get(url) as answer:
        return answer.status, await answer.read()


async def test_what_a_peer_has_is_fetched_from_the_pins_holders_first_and_kept(tmp_path):
    peers = Peers(BLOCK)
    async with gateway(tmp_path, peers, holders=("holder",)) as (node, listener):
        assert await get(f"{listener.url}/ipfs/{BLOCK.cid}") == (200, BLOCK.data)
        assert peers.hints == [("holder",)]
        assert await node.parts.store.has(BLOCK.cid)
        assert await get(f"{listener.url}/ipfs/{BLOCK.cid}") == (200, BLOCK.data)
        assert len(peers.hints) == 1


async def test_content_that_does_not_come_in_time_is_504_with_a_plain_diagnosis(tmp_path):
    peers = Peers()
    async with gateway(tmp_path, peers, patience=0.05) as (_, listener):
        status, body = await get(f"{listener.url}/ipfs/{BLOCK.cid}")
        assert status == 504
        assert b"Unable to retrieve content within timeout period" in body
        assert b"connected to 0 other members of the cluster and to no open network" in body
        assert peers.withdrawn.is_set()


async def test_the_want_is_withdrawn_when_the_client_leaves(tmp_path):
    peers = Peers()
    async with gateway(tmp_path, peers) as (_, listener):
        _, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(f"GET /ipfs/{BLOCK.cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await peers.wanted.wait()
        writer.close()
        await peers.withdrawn.wait()


async def test_a_directory_whose_root_is_here_is_listed_without_fetching_its_entries(tmp_path):
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


async def test_only_if_cached_asks_nobody_for_anything(tmp_path):
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
