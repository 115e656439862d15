"""What a walk has visited: a bit for each row of the store, so that a DAG of any size fits into memory."""

from __future__ import annotations

from collections.abc import Sequence

from blockstore.cid import CID, RAW
from blockstore.number_bitmap import NumberBitmap
from blockstore.store import Blockstore

_RECENT = 4096  # blocks that came and whose numbers are not looked up yet


class Visited:
    """Exact. Bytes may be raw under one name and a node under another: these are two.

    Memory: two bits for each block of the store at most, in pages of 4 KiB, and 4096 names; blocks that a
    store has no numbers for, as those that lie in their CIDs, are kept by name.
    """

    def __init__(self, raw: NumberBitmap | None = None, nodes: NumberBitmap | None = None) -> None:
        self.raw = raw or NumberBitmap()
        self.nodes = nodes or NumberBitmap()
        self.named: dict[bytes, CID] = {}
        self._recent: dict[bytes, CID] = {}

    def has(self, cid: CID, number: int | None) -> bool:
        """`number` is that of `StoreStat`."""
        key = key_of(cid)
        return key in self._recent or key in self.named or (number is not None and number in self._bits(cid))

    def add(self, cid: CID, number: int | None) -> None:
        if number is None:
            self.named[key_of(cid)] = cid
        else:
            self._bits(cid).add(number)

    async def add_stored(self, cids: Sequence[CID], store: Blockstore) -> None:
        """These are in the store since just now."""
        self._recent.update((key_of(cid), cid) for cid in cids)
        if len(self._recent) >= _RECENT:
            await self.settle(store)

    async def settle(self, store: Blockstore) -> None:
        """Give numbers to what came; what is gone again was not visited."""
        recent, self._recent = list(self._recent.values()), {}
        for cid, stat in zip(recent, await store.stat(recent) if recent else (), strict=True):
            if stat is not None:
                self.add(cid, stat.number)

    def _bits(self, cid: CID) -> NumberBitmap:
        return self.raw if cid.codec == RAW else self.nodes


def key_of(cid: CID) -> bytes:
    """Of the bytes, and whether they may link."""
    return cid.multihash if cid.codec == RAW else cid.multihash + b"n"
