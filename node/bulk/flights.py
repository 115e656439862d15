"""Blocks that are under way before they are asked for: who asks for one meanwhile waits for it to land."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from blockstore.cid import CID


class Flights:
    """By multihash."""

    def __init__(self) -> None:
        self._under_way: set[bytes] = set()
        self._change = asyncio.Event()

    def __contains__(self, cid: CID) -> bool:
        return cid.multihash in self._under_way

    @contextmanager
    def flying(self, cids: Sequence[CID]) -> Iterator[None]:
        """These are under way for as long as the block lasts, or until each has landed."""
        self._under_way.update(cid.multihash for cid in cids)
        try:
            yield
        finally:
            self.landed(cids)

    def landed(self, cids: Sequence[CID]) -> None:
        """These are stored now, or do not come."""
        self._under_way.difference_update(cid.multihash for cid in cids)
        self._change.set()
        self._change = asyncio.Event()

    async def until_landed(self, cids: Sequence[CID]) -> None:
        while any(cid in self for cid in cids):
            await self._change.wait()
