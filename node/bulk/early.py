"""What members are adding just now is fetched before they pin it: an add's copies are there when it ends.

A member that adds tells the CIDs of what it has stored; here they are fetched into the cache, where they
make way for what is needed, and the pin that follows finds them. Where none follows nothing is left to undo.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing

from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.common.tasks import GuardedTasks
from node.bulk.exchange import BulkExchange
from node.bulk.wire import fits

MAX_OFFERED = 32 * 1024
"""CIDs of one member that wait; what is offered beyond them is left to the pin."""

_MEMBERS = 8  # fetched from at once
_LIST = 16  # blocks, asked for together


class EarlyFetches:
    """One list at a time of each member that offers."""

    def __init__(self, exchange: BulkExchange, tasks: GuardedTasks) -> None:
        self._exchange = exchange
        self._tasks = tasks
        self._into: Blocks | None = None
        self._refuses: Callable[[CID], bool] = bool
        self._members: frozenset[str] = frozenset()
        self._offered: dict[str, deque[CID]] = {}  # of those that are being fetched from

    def into(self, blocks: Blocks, refuses: Callable[[CID], bool]) -> None:
        """Begin to take offers; but for those that it refuses blocks are put there."""
        self._into, self._refuses = blocks, refuses

    def admit(self, members: frozenset[str]) -> None:
        """Offers of these are taken, and no others."""
        self._members = members

    def on_offer(self, peer: str, cids: Sequence[CID]) -> None:
        """That member has these, and is about to pin what links to them. Returns at once."""
        if self._into is None or peer not in self._members:
            return
        waiting = self._offered.get(peer)
        if waiting is None:
            if len(self._offered) >= _MEMBERS:
                return
            waiting = self._offered[peer] = deque()
            self._tasks.spawn(self._fetch(peer, waiting, self._into))
        room = MAX_OFFERED - len(waiting)
        waiting += (cid for cid in cids[:room] if fits(cid) and not self._refuses(cid))

    def waiting(self, peer: str) -> int:
        """Offers of that member that are still to be fetched."""
        return len(self._offered.get(peer, ()))

    async def _fetch(self, peer: str, waiting: deque[CID], into: Blocks) -> None:
        try:
            while waiting:
                offered = [waiting.popleft() for _ in range(min(_LIST, len(waiting)))]
                if missing := await into.store.missing(offered):
                    await self._fetch_list(peer, missing, into)
        finally:
            del self._offered[peer]

    async def _fetch_list(self, peer: str, cids: Sequence[CID], into: Blocks) -> None:
        flights = self._exchange.flights
        with flights.flying(cids):
            async with aclosing(self._exchange.early(cids, peer)) as groups:
                async for group in groups:
                    await into.put_many(group)
                    flights.landed([block.cid for block in group])
