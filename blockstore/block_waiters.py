"""Who waits for blocks to be stored: fetches that run on another way, and those who hear of every block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from blockstore.block import Block
from blockstore.cid import CID

StoredListener = Callable[[Sequence[CID]], Awaitable[None]]
"""Called with blocks that are in the store, never before: Bitswap gives them to the peers that want them."""


class BlockWaiters:
    """Fetches that wait, by multihash; `listeners` hear of all blocks that are stored."""

    def __init__(self, listeners: Sequence[StoredListener] = ()) -> None:
        self._listeners = tuple(listeners)
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

    async def on_stored(self, blocks: Sequence[Block]) -> None:
        """These are stored: fetches first, then the listeners one after the other."""
        self._end_fetches(blocks)
        for listener in self._listeners:
            await listener([block.cid for block in blocks])

    def _end_fetches(self, blocks: Sequence[Block]) -> None:
        if not self._waiting:
            return
        for block in blocks:
            for arrival in self._waiting.pop(block.cid.multihash, ()):
                if not arrival.done():
                    arrival.set_result(block)
