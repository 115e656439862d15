"""Members of one cluster that give each other blocks in bulk, in one process, and strangers that try."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.memory_store import MemoryBlockstore
from blockstore.store import StoreStat
from node.bulk.bulk import Bulk, BulkSettings, open_bulk
from node.bulk.certificates import Authority
from node.bulk.tls import MemberTls
from node.datadir.identity import Identity

SECRET, CLUSTER = b"s" * 32, b"c" * 32
SETTINGS = BulkSettings("127.0.0.1", 0, CLUSTER, SECRET)


@dataclass
class Source:
    """What a member gives: a store, whose reads may be held back. `lies`: it gives other bytes."""

    store: MemoryBlockstore = field(default_factory=MemoryBlockstore)
    lies: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)
    reads: int = 0
    reading: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        await self._counted(1)
        try:
            await self.released.wait()
            found = await self.store.get_many(cids)
        finally:
            await self._counted(-1)
        if self.lies:
            return [Block(block.cid, block.data[::-1]) if block else None for block in found]
        return found

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        return await self.store.stat(cids)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(condition)

    async def _counted(self, change: int) -> None:
        async with self.changed:
            self.reading += change
            self.reads += change > 0
            self.changed.notify_all()


@dataclass(frozen=True)
class BulkMember:
    identity: Identity
    source: Source
    bulk: Bulk

    @property
    def peer(self) -> str:
        return self.identity.peer_id

    @property
    def address(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.bulk.port}/p2p/{self.peer}"

    async def fetch(self, blocks: Sequence[Block], *hints: BulkMember) -> list[Block]:
        peers = [member.peer for member in hints]
        groups = self.bulk.exchange.fetch_groups([block.cid for block in blocks], peers)
        return [block async for group in groups for block in group]

    async def reaches(self, other: BulkMember) -> None:
        """Wait until that member is asked. There is no event for it on this side."""
        while other.peer not in self.bulk.reached():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def bulk_member(
    settings: BulkSettings = SETTINGS, identity: Identity | None = None
) -> AsyncIterator[BulkMember]:
    identity, source = identity or Identity.generate(), Source()
    source.released.set()
    async with open_bulk(source, identity, settings, Guard()) as bulk:
        yield BulkMember(identity, source, bulk)


def admit_all(*members: BulkMember) -> None:
    """They are the members, and each knows where the others are."""
    listed = {member.peer: [member.address] for member in members}
    for member in members:
        member.bulk.admit(listed)


@asynccontextmanager
async def bulk_members(count: int) -> AsyncIterator[list[BulkMember]]:
    """Members that reach each other."""
    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(bulk_member()) for _ in range(count)]
        admit_all(*members)
        for one in members:
            for other in members:
                if other is not one:
                    await one.reaches(other)
        yield members


def client_context(
    identity: Identity, secret: bytes = SECRET, cluster: bytes = CLUSTER, age: dt.timedelta = dt.timedelta()
) -> ssl.SSLContext:
    """TLS as that peer would do it; its certificate was made `age` ago."""
    now = dt.datetime.now(dt.UTC) - age
    return MemberTls(Authority(secret, cluster), identity, lambda: now).client


async def said(port: int, context: ssl.SSLContext | None, data: bytes) -> bytes:
    """All that is answered on one connection; empty where it is ended without a word."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(data)
        answer = await reader.read()
        writer.close()
    except OSError:
        return b""
    return answer
