"""A block store in memory: for tests, and for imports that only want the CID."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.errors import BlockNotFound, quota_reached
from blockstore.leaf import holds_only_data, is_leaf
from blockstore.store import NO_LIMIT, StoreStat, Usage


class MemoryBlockstore:
    """Satisfies Blockstore with a dict."""

    def __init__(self, quota: int = 0) -> None:
        self._data: dict[bytes, bytes] = {}
        self._numbers: dict[bytes, int] = {}  # of all that were ever here
        self._bytes = 0
        self._quota = quota

    def __repr__(self) -> str:
        return f"<MemoryBlockstore {len(self._data)} blocks, {self._bytes} bytes>"

    async def get(self, cid: CID) -> Block:
        if (block := self._find(cid)) is None:
            raise BlockNotFound(cid)
        return block

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        return [self._find(cid) for cid in cids]

    async def has(self, cid: CID) -> bool:
        return cid.is_identity or cid.multihash in self._data

    async def missing(self, cids: Sequence[CID]) -> list[CID]:
        return [cid for cid in cids if not await self.has(cid)]

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        return [self._stat(cid) for cid in cids]

    async def size(self, cid: CID) -> int:
        return len((await self.get(cid)).data)

    async def put_many(self, blocks: Sequence[Block]) -> None:
        new = {b.cid.multihash: b.data for b in blocks if not await self.has(b.cid)}
        total = self._bytes + sum(map(len, new.values()))
        if new and self._quota and total > self._quota:
            raise quota_reached(self._bytes, total - self._bytes, self._quota)
        self._data.update(new)
        for multihash in new:
            self._numbers.setdefault(multihash, len(self._numbers))
        self._bytes = total

    async def flush(self) -> None:
        """No-op: memory survives no power failure."""

    async def delete_many(self, cids: Iterable[CID]) -> None:
        for cid in cids:
            self._bytes -= len(self._data.pop(cid.multihash, b""))

    async def keys(self) -> AsyncIterator[CID]:
        for multihash in sorted(self._data):
            yield CID.v1(RAW, multihash)

    async def usage(self) -> Usage:
        free = max(0, self._quota - self._bytes) if self._quota else NO_LIMIT
        return Usage(len(self._data), self._bytes, self._quota, free)

    def _stat(self, cid: CID) -> StoreStat | None:
        if (block := self._find(cid)) is None:
            return None
        links = not is_leaf(cid, holds_only_data(block.data, len(block.data)))
        number = None if cid.is_identity else self._numbers[cid.multihash]
        return StoreStat(len(block.data), links, number)

    def _find(self, cid: CID) -> Block | None:
        if cid.is_identity:
            return Block.inline(cid)
        data = self._data.get(cid.multihash)
        return None if data is None else Block(cid, data)
