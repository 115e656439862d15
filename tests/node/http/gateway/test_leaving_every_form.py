"""Clients that leave while a block is awaited: in every form of answer, from members, peers and gateways."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web
from support.gateway import directory, file_of
from support.http_gateway import HttpGateway, http_gateway, silence
from support.node import running_node
from support.p2p_networks import SETTINGS, networks, until_peer

from bitswap.message import PROTOCOLS
from bitswap.message_codec import decode
from blockstore.block import Block
from blockstore.cid import CID, DAG_JSON, DAG_PB
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.unixfs.data import MURMUR3_X64_64, NodeType, UnixFSData
from blockstore.unixfs.hamt import hash_value
from cluster.interfaces import Role
from node.config.sections import Config, RetrievalConfig, SwarmConfig
from node.datadir.cluster_file import ClusterFile
from node.datadir.folder import DataFolder
from node.datadir.identity import Identity
from node.datadir.init import create_node
from node.node import Node
from node.p2p.network import open_network

MARK = Block.of(b"asked for last")
PROMPT = 0.1  # seconds
ATTEMPTS = 20  # until one is prompt: other processes may have the machine for a while

Key = bytes | str  # of a block, as its source is asked for it: a multihash or a CID


@dataclass(frozen=True)
class Form:
    """A request whose answer needs `missing`; `here` is in the store."""

    request: str
    here: tuple[Block, ...]
    missing: Block
    headers: str = ""
    method: str = "GET"


def forms(mark: int) -> Iterator[tuple[str, Form]]:
    """Each with content of its own."""

    def parts(name: str) -> list[Block]:
        return [Block.of(f"{mark} {name} {n}".encode() * 5000) for n in range(4)]

    def file(name: str) -> tuple[Block, tuple[Block, ...], Block]:
        *here, missing = parts(name)
        root = file_of([*here, missing])
        return root, (root, *here), missing

    root, here, missing = file("file")
    yield "file", Form(f"/ipfs/{root.cid}", here, missing)
    root, here, missing = file("head")
    lone = file_of([missing, *here[1:]])
    yield "head", Form(f"/ipfs/{lone.cid}", (lone, *here[1:]), missing, method="HEAD")
    root, here, missing = file("range")
    yield "range", Form(f"/ipfs/{root.cid}", here, missing, headers="Range: bytes=-10\r\n")
    root, here, missing = file("car")
    yield "car", Form(f"/ipfs/{root.cid}?format=car", here, missing)
    root, here, missing = file("entity")
    yield "entity", Form(f"/ipfs/{root.cid}?format=car&dag-scope=entity", here, missing)
    root, here, missing = file("tar")
    folder = directory({"file": root.cid})
    yield "tar", Form(f"/ipfs/{folder.cid}?format=tar", (folder, *here), missing)
    root, here, missing = file("path")
    folder = directory({"file": root.cid})
    yield "path", Form(f"/ipfs/{folder.cid}/file", (folder, *here[1:], missing), root)
    top, shard = sharded(mark)
    yield "listing", Form(f"/ipfs/{top.cid}/", (top,), shard)
    block = Block.of(f"{mark} raw".encode())
    yield "raw", Form(f"/ipfs/{block.cid}?format=raw", (), block)
    node = Block.of(b'{"mark":"%d"}' % mark, DAG_JSON)
    yield "dag-json", Form(f"/ipfs/{node.cid}?format=dag-json", (), node)


def sharded(mark: int) -> tuple[Block, Block]:
    """A sharded directory of one entry, two shards deep."""
    name = f"entry {mark}"
    entry = Block.of(name.encode())
    value = hash_value(name)
    first, second = f"{value >> 56:02X}", f"{value >> 48 & 255:02X}"

    def shard(label: str, cid: CID, bucket: str) -> Block:
        bits = bytes([1 << int(bucket, 16) % 8]) + bytes(int(bucket, 16) // 8)
        data = UnixFSData(NodeType.HAMT, bits, hash_type=MURMUR3_X64_64, fanout=256)
        return Block.of(dag_pb.encode(PBNode((PBLink(cid, label, 10),), data.encode())), DAG_PB)

    below = shard(second + name, entry.cid, second)
    return shard(first, below.cid, first), below


class Silent:
    """A peer that says nothing, and knows when it was asked for what, and when that was withdrawn."""

    def __init__(self) -> None:
        self.asked: defaultdict[Key, asyncio.Event] = defaultdict(asyncio.Event)
        self.withdrawn: defaultdict[Key, asyncio.Event] = defaultdict(asyncio.Event)
        self.at: dict[Key, float] = {}

    async def on_message(self, _peer: str, _protocol: str, data: bytes) -> None:
        for entry in decode(data).entries:
            key = entry.cid.multihash
            self.at[key] = asyncio.get_running_loop().time()
            (self.withdrawn if entry.cancel else self.asked)[key].set()


class Gateway(Silent):
    """The same as a trustless gateway."""

    def __init__(self, source: HttpGateway) -> None:
        super().__init__()
        self.source = source
        source.behaviour = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["cid"]
        self.asked[key].set()
        try:
            return await silence(request)
        finally:
            self.at[key] = asyncio.get_running_loop().time()
            self.withdrawn[key].set()


@asynccontextmanager
async def scene(path: Path) -> AsyncIterator[tuple[Node, Sequence[Silent]]]:
    """A node's gateway, and whom it asks: a member, a peer of the open network, a trustless gateway."""
    folder = DataFolder(path)
    create_node(folder, None, "tester")
    private = replace(SETTINGS, psk=ClusterFile.read(folder.cluster).secret)
    async with (
        http_gateway() as source,
        networks(1) as (portal, [public]),
        open_network(portal, Identity.generate(), private) as member,
    ):
        asked = [Silent(), Silent()]
        for network, peer in zip((member, public), asked, strict=True):
            network.on_message(PROTOCOLS, peer.on_message)
        config = Config(
            swarm=SwarmConfig(peers=(public.addresses()[0],)), retrieval=RetrievalConfig((source.url,))
        )
        async with running_node(path, config, offline=False) as node:
            await node.parts.pinset.members.grant(member.self_id, Role.TRUSTED)
            await member.connect(json.loads(folder.addresses.read_text())["cluster"][0])
            await until_peer(public, node.parts.peer)
            yield node, (*asked, Gateway(source))


async def visit(node: Node, form: Form) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    at = node.faces.gateway
    reader, writer = await asyncio.open_connection(at.host, at.port)
    writer.write(f"{form.method} {form.request} HTTP/1.1\r\nHost: x\r\n{form.headers}".encode())
    writer.write(b"Connection: close\r\n\r\n")
    return reader, writer


def key_of(source: Silent, form: Form) -> Key:
    return str(form.missing.cid.as_v1()) if isinstance(source, Gateway) else form.missing.cid.multihash


async def until_asked(sources: Iterable[Silent], wanted: Iterable[Form]) -> None:
    for form in wanted:
        for source in sources:
            await source.asked[key_of(source, form)].wait()


async def withdrawal_of(sources: Sequence[Silent], form: Form) -> float:
    """When the last of them has heard."""
    for source in sources:
        await source.withdrawn[key_of(source, form)].wait()
    return max(source.at[key_of(source, form)] for source in sources)


async def test_whatever_was_asked_for_everybody_hears_within_100_ms_that_the_client_has_left(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as (node, sources):
        took: defaultdict[str, list[float]] = defaultdict(list)
        for attempt in range(ATTEMPTS):
            wanted = dict(forms(attempt))
            await node.parts.store.put_many([block for form in wanted.values() for block in form.here])
            clients = {name: await visit(node, form) for name, form in wanted.items()}
            await until_asked(sources, wanted.values())
            for name, (_, writer) in clients.items():
                left_at = asyncio.get_running_loop().time()
                writer.close()
                took[name].append(await withdrawal_of(sources, wanted[name]) - left_at)
            if max(map(min, took.values())) < PROMPT:
                break
        assert {name: min(times) for name, times in took.items() if min(times) >= PROMPT} == {}


async def test_who_waits_for_the_same_block_gets_it_though_another_one_has_left(tmp_path: Path) -> None:
    async with scene(tmp_path) as (node, sources):
        wanted = dict(forms(99))
        await node.parts.store.put_many([block for form in wanted.values() for block in form.here])
        leaving = [await visit(node, form) for form in wanted.values()]
        await until_asked(sources, wanted.values())
        staying = {name: await visit(node, form) for name, form in wanted.items()}
        mark = Form(f"/ipfs/{MARK.cid}?format=raw", (), MARK)
        _, last = await visit(node, mark)
        await until_asked(sources, [mark])
        told = asyncio.create_task(withdrawal_of(sources, wanted["raw"]))
        for _, writer in leaving:
            writer.close()
            await writer.wait_closed()
        await asyncio.wait([told], timeout=0.2)
        assert not told.done()
        await node.parts.blocks.put_many([form.missing for form in wanted.values()])
        for name, (reader, writer) in staying.items():
            assert is_whole(await reader.read(), wanted[name].method), name
            writer.close()
        await told
        last.close()


def is_whole(answer: bytes, method: str) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"200", b"206")
    if b"Transfer-Encoding: chunked" in head:
        return b"\r\n0\r\n" in body and b"X-Stream-Error: " not in body
    return method == "HEAD" or f"Content-Length: {len(body)}".encode() in head
