"""Two views of one store: content that is read may be let go again, what is pinned or added may not.

Content that clients read through a gateway would otherwise fill the store until garbage is collected.
What `CachingStore` puts takes at most a share of the room, least recently used out first, and makes way for
everything else. What is looked at through `ClaimingStore` was claimed before the answer, so it can no longer
go: a pin may build on the answer.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound, StorageFull
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.store import StoreStat, Usage

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _View:
    """A Blockstore that is another one but for what its subclasses say."""

    def __init__(self, store: SqliteBlockstore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._store}>"

    @property
    def deletions(self) -> int:
        """See `SqliteBlockstore.deletions`."""
        return self._store.deletions

    async def get(self, cid: CID) -> Block:
        return await self._store.get(cid)

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        return await self._store.get_many(cids)

    async def has(self, cid: CID) -> bool:
        return await self._store.has(cid)

    async def missing(self, cids: Sequence[CID]) -> list[CID]:
        return await self._store.missing(cids)

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        return await self._store.stat(cids)

    async def size(self, cid: CID) -> int:
        return await self._store.size(cid)

    async def put_many(self, blocks: Sequence[Block]) -> None:
        await self._store.put_many(blocks)

    async def flush(self) -> None:
        await self._store.flush()

    async def delete_many(self, cids: Iterable[CID]) -> None:
        await self._store.delete_many(cids)

    def keys(self) -> AsyncIterator[CID]:
        return self._store.keys()

    async def usage(self) -> Usage:
        return await self._store.usage()


class CachingStore(_View):
    """For content on its way to a reader: what is put is cached, where there is room for it."""

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        found = await self._store.get_many(cids)
        self._store.capacity.note_use(
            [
                cid.multihash
                for cid, block in zip(cids, found, strict=True)
                if block is not None and not cid.is_identity
            ]
        )
        return found

    async def put_many(self, blocks: Sequence[Block]) -> None:
        """Keep those that fit into the share; the others are not kept, which is no error."""
        try:
            await self._store.writer.put_cached(blocks)
        except StorageFull as error:
            _log.debug("%d blocks that were read are not kept: %s", len(blocks), error)


class ClaimingStore(_View):
    """For pins and imports: what it says is here stays, as far as the cache is concerned.

    It looks first and claims then: what came between a claim and a look would be here
    unclaimed. What was evicted between the look and the claim is missing.
    """

    async def get(self, cid: CID) -> Block:
        (block,) = await self.get_many([cid])
        if block is None:
            raise BlockNotFound(cid)
        return block

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        return await self._claimed(cids, await self._store.get_many(cids))

    async def has(self, cid: CID) -> bool:
        return not await self.missing([cid])

    async def missing(self, cids: Sequence[CID]) -> list[CID]:
        missing = set(await self._store.missing(cids))
        gone = await self._store.writer.claim([cid for cid in cids if cid not in missing])
        return [cid for cid in cids if cid in missing or cid in gone]

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        return await self._claimed(cids, await self._store.stat(cids))

    async def size(self, cid: CID) -> int:
        (stat,) = await self.stat([cid])
        if stat is None:
            raise BlockNotFound(cid)
        return stat.size

    async def _claimed(self, cids: Sequence[CID], found: Sequence[T | None]) -> list[T | None]:
        gone = await self._store.writer.claim(
            [cid for cid, one in zip(cids, found, strict=True) if one is not None]
        )
        return [None if cid in gone else one for cid, one in zip(cids, found, strict=True)]
