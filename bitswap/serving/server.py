"""The serving half: answers what peers want, a bounded number of bytes at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

from bitswap.accounts import PeerAccounts
from bitswap.message import Message, Payload, WantlistEntry
from bitswap.network import PeerUnreachable, ServedBlockSource
from bitswap.sender import Sender
from bitswap.serving.peer_ledger import PeerLedger
from bitswap.serving.peer_ledgers import LedgerBounds, PeerLedgers
from bitswap.serving.response_batch import ResponseBatch
from bitswap.serving.work_limits import WorkLimits
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import Tasks
from blockstore.common.throttle import Throttle
from blockstore.errors import BlockstoreError

_LOOK_UP = 256  # wants looked up at once, by one peer at a time: readers of the store never wait for more
T = TypeVar("T")
_Look = Callable[[Sequence[CID]], Awaitable[list[T | None]]]


class Server:
    def __init__(
        self,
        store: ServedBlockSource,
        sender: Sender,
        tasks: Tasks,
        accounts: PeerAccounts,
        bounds: LedgerBounds,
        limits: WorkLimits,
        up: Throttle,
        guard: Guard,
    ) -> None:
        self._store = store
        self._sender = sender
        self._tasks = tasks
        self._accounts = accounts
        self._limits = limits
        self._up = up
        self._guard = guard
        self._ledgers = PeerLedgers(bounds)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._look_up = asyncio.Lock()
        self._turns: WeakKeyDictionary[PeerLedger, asyncio.Lock] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<Server {self._ledgers}>"

    def peers(self) -> Iterator[str]:
        """That have wanted something since they connected."""
        return (ledger.peer for ledger in self._ledgers)

    def queued(self, peer: str) -> tuple[int, int]:
        """Wants of that peer, and bytes of blocks that are queued for it."""
        ledger = self._ledgers.of(peer)
        return (len(ledger), ledger.queued_bytes) if ledger is not None else (0, 0)

    def wantlist(self, peer: str) -> tuple[CID, ...]:
        """What that peer wants of us."""
        ledger = self._ledgers.of(peer)
        return ledger.wantlist() if ledger is not None else ()

    async def on_entries(self, peer: str, entries: Sequence[WantlistEntry], full: bool) -> None:
        """A wantlist came; returns when it is looked up, so that a peer cannot ask faster than we look."""
        fresh = self._ledgers.on_entries(peer, entries, full)
        for start in range(0, len(fresh), _LOOK_UP):
            some = fresh[start : start + _LOOK_UP]
            # First come, first served: a long list takes its turns among short ones.
            async with self._look_up:
                sizes = await self._sizes(peer, some)
            self._ledgers.on_sizes(peer, some, sizes)
            self._serve_all()
        self._serve_all()

    async def on_stored(self, cids: Sequence[CID]) -> None:
        """These blocks are in the store now. One peer that breaks this keeps no other from being answered."""
        if not (awaited := self._ledgers.awaited(cids)):
            return
        new = list(dict.fromkeys(cid for wanted in awaited.values() for cid in wanted))
        sizes = dict(zip(new, await self._sizes("peers that wait", new), strict=True))
        for peer, wanted in awaited.items():
            with self._guard.around("new blocks", peer):
                self._ledgers.on_sizes(peer, wanted, [sizes[cid] for cid in wanted])
        self._serve_all()

    def on_disconnect(self, peer: str) -> None:
        self._ledgers.on_disconnect(peer)

    async def _sizes(self, peer: str, cids: Sequence[CID]) -> list[int | None]:
        """What the store has of them. What it cannot look up counts as missing, and is answered as such."""
        stats = await self._each(peer, self._store.stat, cids)
        return [stat.size if stat is not None else None for stat in stats]

    async def _each(self, peer: str, look: _Look[T], cids: Sequence[CID]) -> list[T | None]:
        """One answer a CID. A store that fails is asked in halves: what is damaged costs itself only."""
        found: list[T | None] = []
        with self._guard.around("looking into the store", peer, BlockstoreError):
            found = await look(cids)
        if len(found) == len(cids):
            return found
        if len(cids) < 2:
            return [None] * len(cids)
        half = len(cids) // 2
        return [*await self._each(peer, look, cids[:half]), *await self._each(peer, look, cids[half:])]

    def _serve_all(self) -> None:
        """One task a batch; the ledgers bound how many there are."""
        now = self._loop.time()
        while (turn := self._ledgers.next(now)) is not None:
            self._tasks.spawn(self._serve(*turn))
        if self._timer is None and (wait := self._ledgers.wait(now)):
            self._timer = self._loop.call_later(wait, self._on_time)

    def _on_time(self) -> None:
        """A peer that was given its share for now may have more."""
        self._timer = None
        if not self._tasks.closed:
            self._serve_all()

    async def _serve(self, ledger: PeerLedger, batch: ResponseBatch) -> None:
        sent, dealt_with = list[CID](), False
        try:
            with self._guard.around("an answer", ledger.peer):
                sent, dealt_with = await self._deliver_to(ledger, batch), True
        finally:
            self._ledgers.release(ledger, batch, sent)
        with self._guard.around("the next answer", ledger.peer):
            if not dealt_with:
                self._ledgers.on_gone(ledger, batch.blocks)
            self._serve_all()

    async def _deliver_to(self, ledger: PeerLedger, batch: ResponseBatch) -> list[CID]:
        """What went out."""
        try:
            return await self._deliver(ledger, batch)
        except PeerUnreachable:
            self.on_disconnect(ledger.peer)  # it asks again when it is back
            return []

    async def _deliver(self, ledger: PeerLedger, batch: ResponseBatch) -> list[CID]:
        """Read the batch while the one before is being sent; what was cancelled meanwhile stays here."""
        await self._up.let_pass(batch.block_bytes)
        found = await self._each(ledger.peer, self._store.get_many, batch.blocks) if batch.blocks else []
        async with self._turns.setdefault(ledger, asyncio.Lock()):
            if self._ledgers.of(ledger.peer) is not ledger:
                return []
            wanted = set(ledger.still_wanted(batch.blocks))
            blocks = [block for block in found if block is not None and block.cid in wanted]
            gone = wanted - {block.cid for block in blocks}
            message = Message(
                payloads=tuple(map(Payload.of, blocks)),
                presences=batch.presences,
                pending_bytes=min(ledger.queued_bytes, 2**31 - 1),
            )
            if message:
                await self._sender.send(ledger.peer, message)
        self._ledgers.on_gone(ledger, list(gone))
        self._count(ledger.peer, blocks)
        return [block.cid for block in blocks]

    def _count(self, peer: str, sent: Sequence[Block]) -> None:
        self._limits.earn(peer, len(sent), self._loop.time())
        if sent:
            self._accounts.sent(peer, len(sent), sum(len(block.data) for block in sent))
