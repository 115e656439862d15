"""The contract of a block store, and the one that lives in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.common import varint
from blockstore.errors import BlockNotFound, StorageFull

NO_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store holds: number of blocks, their bytes, the most bytes it accepts (0 = no limit).

    `free` is the bytes that it would still take: what quota and disk leave. `damaged` blocks were here, and
    count as missing until they come again. `cached` of the bytes make way for others: nobody needs them but
    to read them again.
    """

    blocks: int
    bytes: int
    quota: int
    free: int = NO_LIMIT
    damaged: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class StoreStat:
    """What is known of a block without reading it: its bytes, and whether it may link to others.

    `links` is false only where that is certain, for the codec of the CID that was asked for.
    """

    size: int
    links: bool


def is_leaf(cid: CID, only_data: bool) -> bool:
    """Whether a block cannot link; `only_data` is `holds_only_data` of its bytes."""
    return cid.codec == RAW or (only_data and cid.codec == DAG_PB)


HEAD_BYTES = 16
"""Of a block, as many as `holds_only_data` looks at: a tag and the longest varint."""


def holds_only_data(head: bytes, size: int) -> bool:
    """Whether a block, read as dag-pb, is a Data field alone: no links. Constant time (spec: dag-pb).

    `head` are its first HEAD_BYTES or more, `size` all its bytes.
    """
    if not head.startswith(b"\x0a"):
        return not size
    try:
        length, start = varint.decode(head, 1)
    except ValueError:
        return False
    return start + length == size


def quota_reached(used: int, new: int, quota: int) -> StorageFull:
    """The error of a write that the quota forbids; all in bytes."""
    return StorageFull(
        f"storage quota reached: {size_text(used)} of {size_text(quota)} used, and {size_text(new)} more "
        "do not fit; unpin something and collect garbage, or raise the quota"
    )


def size_text(size: int) -> str:
    """Bytes for people: "1.5 GiB"."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    step = min(max(0, size.bit_length() - 1) // 10, len(units) - 1)
    return f"{size / 1024**step:.4g} {units[step]}"


class Blockstore(Protocol):
    """A set of blocks on this machine, keyed by multihash: codec and version of the CID do not matter.

    Putting a block twice is putting it once. Getting a missing one raises BlockNotFound; deleting a
    missing one is fine. `put_many` is all or nothing: when it returns, the blocks survive a crash of the
    process; when it raises (StorageFull), none of them is there because of it. Identity CIDs are never
    stored: `get` answers them from themselves, `has` is true, `put_many` and `delete_many` ignore them.
    A returned block carries the CID that was asked for. Calls may be made concurrently.
    """

    async def get(self, cid: CID) -> Block: ...

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        """One answer a CID, in order; None where it is missing. One trip to the database."""
        ...

    async def has(self, cid: CID) -> bool: ...

    async def missing(self, cids: Sequence[CID]) -> list[CID]:
        """Those of the CIDs that are not here, in order. One trip to the database."""
        ...

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        """Sizes without reading the data; None where missing. One trip to the database."""
        ...

    async def size(self, cid: CID) -> int:
        """Bytes of the block, without reading it. Raises BlockNotFound."""
        ...

    async def put_many(self, blocks: Sequence[Block]) -> None: ...

    async def flush(self) -> None:
        """Make what was put so far survive a power failure too: for roots that are about to be promised."""
        ...

    async def delete_many(self, cids: Iterable[CID]) -> None: ...

    def keys(self) -> AsyncIterator[CID]:
        """Every multihash as a raw CIDv1, in key order, paged: blocks put meanwhile may or may not appear."""
        ...

    async def usage(self) -> Usage: ...


class Marks(Protocol):
    """By these a file of roots and the blocks it was written beside know each other (`completing.py`)."""

    @property
    def parts(self) -> int:
        """Number of files that the blocks lie in; it only grows, unless one is lost."""
        ...

    async def mark(self, value: bytes) -> None: ...

    async def has_mark(self, value: bytes) -> bool:
        """Whether nothing was collected, and nothing exchanged, since that mark was made."""
        ...

    async def is_new(self) -> bool:
        """Whether there is neither mark nor block."""
        ...

    async def is_marked(self) -> bool: ...

    async def forget_marks_before(self, value: bytes) -> None: ...


class Unmarked:
    """The Marks of a store that cannot be exchanged: it knows every mark."""

    parts = 1

    async def mark(self, value: bytes) -> None:
        """Nothing to remember."""

    async def has_mark(self, value: bytes) -> bool:
        return True

    async def is_new(self) -> bool:
        return False

    async def is_marked(self) -> bool:
        return False

    async def forget_marks_before(self, value: bytes) -> None:
        """Nothing was remembered."""


class MemoryBlockstore:
    """Blocks in a dict: for tests, and for imports that only want the CID."""

    def __init__(self, quota: int = 0) -> None:
        self._data: dict[bytes, bytes] = {}
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
        self._bytes = total

    async def flush(self) -> None:
        """Memory is as safe as it gets."""

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
        return StoreStat(len(block.data), not is_leaf(cid, holds_only_data(block.data, len(block.data))))

    def _find(self, cid: CID) -> Block | None:
        if cid.is_identity:
            return Block.inline(cid)
        data = self._data.get(cid.multihash)
        return None if data is None else Block(cid, data)
