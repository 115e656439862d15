"""Fetches that wait for a block hear when it is stored on another way: by another fetch, or added here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from blockstore.block import Block
from blockstore.cid import CID


class BlockWaiters:
    """Who waits for which block, by multihash."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, set[asyncio.Future[Block]]] = {}

    @contextmanager
    def expected(self, cid: CID) -> Iterator[asyncio.Future[Block]]:
        """Has the block as soon as it is stored; under the name that it came by."""
        arrival: asyncio.Future[Block] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(cid.multihash, set())
        waiting.add(arrival)
        try:
            yield arrival
        finally:
            waiting.discard(arrival)
            if not waiting and self._waiting.get(cid.multihash) is waiting:
                del self._waiting[cid.multihash]

    def came(self, blocks: Iterable[Block]) -> None:
        """These are stored."""
        if not self._waiting:
            return
        for block in blocks:
            for arrival in self._waiting.pop(block.cid.multihash, ()):
                if not arrival.done():
                    arrival.set_result(block)
