"""The contract of a block store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from blockstore.block import Block
from blockstore.cid import CID

NO_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store holds: number of blocks, their bytes, the most bytes it accepts (0 = no limit).

    `free` is the bytes that it would still take: what quota and disk leave, without what is reserved.
    `damaged` blocks were here, and count as missing until they come again. `cached` of the bytes make way for
    others: they are needed only to be read again. `held` is what all of it takes on the disk, as the disk
    says; `reserved` bytes are to come, of imports and pins under way.
    """

    blocks: int
    bytes: int
    quota: int
    free: int = NO_LIMIT
    damaged: int = 0
    cached: int = 0
    held: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class StoreStat:
    """What is known of a block without reading it: its bytes, and whether it may link to others.

    `links` is false only where that is certain, for the codec of the CID that was asked for. `number` is the
    block's own as long as it is stored, and never that of another while the store is open; they lie close
    together. None for what lies in its CID.
    """

    size: int
    links: bool
    number: int | None = None


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
