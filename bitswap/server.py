"""The serving half: answers what peers want, a bounded number of bytes at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from bitswap.ledger import Batch, Ledger
from bitswap.ledgers import Bounds, Ledgers
from bitswap.message import Entry, Message, Payload
from bitswap.network import PeerUnreachable, Shelf
from bitswap.post import Post
from bitswap.statistics import Counters, PeerStatistics
from blockstore.cid import CID
from blockstore.guard import Guard
from blockstore.tasks import Tasks

_Sent = list[tuple[CID, int]]


class Server:
    def __init__(
        self, store: Shelf, post: Post, tasks: Tasks, counters: Counters, bounds: Bounds, guard: Guard
    ) -> None:
        self._store = store
        self._post = post
        self._tasks = tasks
        self._counters = counters
        self._guard = guard
        self._ledgers = Ledgers(bounds)
        self._turns: WeakKeyDictionary[Ledger, asyncio.Lock] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<Server {self._ledgers}>"

    def statistics(self) -> tuple[PeerStatistics, ...]:
        return tuple(
            PeerStatistics(one.peer, len(one), one.queued_bytes, one.blocks_sent, one.bytes_sent)
            for one in self._ledgers
        )

    def wantlist(self, peer: str) -> tuple[CID, ...]:
        """What that peer wants of us."""
        ledger = self._ledgers.of(peer)
        return ledger.wantlist() if ledger is not None else ()

    async def on_entries(self, peer: str, entries: Sequence[Entry], full: bool) -> None:
        """A wantlist came; returns when it is looked up, so that a peer cannot ask faster than we look."""
        fresh = self._ledgers.on_entries(peer, entries, full)
        if fresh:
            self._ledgers.on_sizes(peer, fresh, await self._sizes(fresh))
        self._serve_all()

    async def announce(self, cids: Sequence[CID]) -> None:
        """These blocks are in the store now."""
        if awaited := self._ledgers.awaited(cids):
            self._ledgers.on_stored(awaited, await self._sizes(awaited))
            self._serve_all()

    def on_disconnect(self, peer: str) -> None:
        self._ledgers.on_disconnect(peer)

    async def _sizes(self, cids: Sequence[CID]) -> list[int | None]:
        return [stat.size if stat is not None else None for stat in await self._store.stat(cids)]

    def _serve_all(self) -> None:
        """One task a batch; the ledgers bound how many there are."""
        while (turn := self._ledgers.next()) is not None:
            self._tasks.spawn(self._serve(*turn))

    async def _serve(self, ledger: Ledger, batch: Batch) -> None:
        sent: _Sent = []
        try:
            with self._guard.around("an answer", ledger.peer):
                sent = await self._deliver_to(ledger, batch)
        finally:
            self._ledgers.release(ledger, batch, sent)
        self._serve_all()

    async def _deliver_to(self, ledger: Ledger, batch: Batch) -> _Sent:
        try:
            return await self._deliver(ledger, batch)
        except PeerUnreachable:
            self.on_disconnect(ledger.peer)  # it asks again when it is back
            return []

    async def _deliver(self, ledger: Ledger, batch: Batch) -> _Sent:
        """Read the batch while the one before is being sent; what was cancelled meanwhile stays here."""
        found = await self._store.get_many(batch.blocks) if batch.blocks else []
        async with self._turns.setdefault(ledger, asyncio.Lock()):
            if self._ledgers.of(ledger.peer) is not ledger:
                return []
            wanted = set(ledger.still_wanted(batch.blocks))
            blocks = [block for block in found if block is not None and block.cid in wanted]
            gone = wanted - {block.cid for block in blocks}
            payloads = tuple(map(Payload.of, blocks))
            message = Message(
                payloads=payloads,
                presences=batch.presences,
                pending_bytes=min(ledger.queued_bytes, 2**31 - 1),
            )
            if message:
                await self._post.send(ledger.peer, message)
        self._ledgers.on_gone(ledger, list(gone))
        return self._count([(block.cid, len(block.data)) for block in blocks])

    def _count(self, sent: _Sent) -> _Sent:
        self._counters.blocks_sent += len(sent)
        self._counters.bytes_sent += sum(size for _, size in sent)
        return sent
