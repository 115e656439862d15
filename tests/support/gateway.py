"""A node's gateway in a test: content put into its store, requests as they are written."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import ClientSession
from multidict import CIMultiDictProxy
from yarl import URL

from blockstore.block import Block
from blockstore.car.reader import read_car
from blockstore.cid import CID, DAG_PB
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.entries import SourceFile
from blockstore.unixfs.importing.importer import import_entries
from blockstore.unixfs.importing.options import ImportFlags, resolve
from node.config.sections import Config, GatewayConfig
from node.node import Node
from support.node import running_node

_MAX_LINE = 64 * 1024  # of an answer's header
_NARROW = 64 * 1024  # bytes that a kernel keeps for a client that does not read; its own choice may be 32 MiB


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, read."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Gateway:
    """A real listener over an offline node. Redirects are not followed, paths are sent as they are."""

    def __init__(self, node: Node, client: ClientSession) -> None:
        self.node = node
        self._client = client

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Header names have underscores for dashes."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.node.faces.gateway.url + path, encoded=True)
        async with self._client.request(method, url, headers=names, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def head(self, path: str, **headers: str) -> Answer:
        return await self.get(path, "HEAD", **headers)

    async def raw(self, request: bytes, *, eof: bool = False) -> bytes:
        """What comes back on a connection of its own until the gateway ends it; `eof`: this is all."""
        listener = self.node.faces.gateway
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(request)
        if eof:
            writer.write_eof()
        try:
            return await reader.read()
        finally:
            writer.close()

    async def put(self, *blocks: Block) -> None:
        await self.node.parts.store.put_many(blocks)

    async def forget(self, *cids: CID) -> None:
        await self.node.parts.store.delete_many(cids)

    async def add(self, files: dict[str, bytes], flags: ImportFlags | None = None) -> CID:
        """Import files by path, in chunks of 1 KiB if not said otherwise; the root's CID."""
        flags = flags or ImportFlags()
        options = resolve("unixfs-v1-2025", replace(flags, chunker=flags.chunker or "size-1024"))
        entries = _entries(files)
        return [added async for added in import_entries(entries, self.node.parts.blocks, options)][-1].cid


@asynccontextmanager
async def open_gateway(folder: Path, settings: GatewayConfig | None = None) -> AsyncIterator[Gateway]:
    config = Config(gateway=settings or GatewayConfig())
    session = ClientSession(skip_auto_headers=["Accept"], max_line_size=_MAX_LINE, max_field_size=_MAX_LINE)
    async with session as client, running_node(folder, config) as node:
        yield Gateway(node, client)


async def narrow_connection(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that holds some 5 MiB of what its client does not read, both kernels' buffers together."""
    own = socket.socket()
    own.setblocking(False)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
    await asyncio.get_running_loop().sock_connect(own, (host, port))
    return await asyncio.open_connection(sock=own, limit=1024)


async def car_of(body: bytes) -> tuple[tuple[CID, ...], list[CID]]:
    """Roots, and blocks in their order; each is verified. Raises BadCar."""
    car = await read_car(_pieces(body))
    return car.roots, [block.cid async for batch in car.batches for block in batch.blocks]


def directory(entries: dict[str, CID]) -> Block:
    """A directory of one block, its names unchecked and in their order."""
    links = tuple(PBLink(cid, name, 10) for name, cid in entries.items())
    return Block.of(dag_pb.encode(PBNode(links, UnixFSData(NodeType.DIRECTORY).encode())), DAG_PB)


def file_of(parts: Sequence[Block]) -> Block:
    """The root of a file over raw leaves."""
    sizes = tuple(len(part.data) for part in parts)
    data = UnixFSData(NodeType.FILE, filesize=sum(sizes), blocksizes=sizes).encode()
    links = tuple(PBLink(part.cid, "", len(part.data)) for part in parts)
    return Block.of(dag_pb.encode(PBNode(links, data)), DAG_PB)


async def _entries(files: dict[str, bytes]) -> AsyncIterator[SourceFile]:
    for path, data in files.items():
        yield SourceFile(path, _pieces(data))


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data
