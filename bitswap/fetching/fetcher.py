"""The fetching half: callers that wait for blocks, and the clock that the want list needs.

`Wants` decides whom to ask; here its decisions meet time, the network and the callers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bitswap.fetching.session_peers import SessionPeers
from bitswap.fetching.want import GivenUp
from bitswap.fetching.want_timeouts import WantTimeouts
from bitswap.fetching.wantlist_sender import WantlistSender
from bitswap.fetching.wants import SortedBlocks, Wants
from bitswap.message import Presence
from bitswap.received import ReceivedBlock
from bitswap.sender import Sender
from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.common.guard import Guard
from blockstore.common.tasks import Tasks
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchReport

_TICK = 0.1  # seconds between looks for late blocks
_TICKS_A_LOOK = 5  # ticks between looks at all wants


class Fetcher:
    """`limit`: blocks asked for at once, more fetches wait their turn. `self_id`: this node, in the log."""

    def __init__(
        self, sender: Sender, tasks: Tasks, guard: Guard, timeouts: WantTimeouts, limit: int, self_id: str
    ) -> None:
        self._tasks = tasks
        self._guard = guard
        self._self_id = self_id
        self._wants = Wants(timeouts)
        self._wantlist = WantlistSender(self._wants, sender, tasks, guard, self._on_unreachable)
        self._slots = asyncio.Semaphore(limit)
        self._waiters: dict[bytes, set[asyncio.Future[bytes]]] = {}
        self._wanting = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        tasks.spawn(self._watch())

    def __len__(self) -> int:
        """Number of blocks wanted."""
        return len(self._wants)

    def __repr__(self) -> str:
        return f"<Fetcher {self._wants}>"

    async def fetch(
        self, session: SessionPeers, cid: CID, hints: Sequence[str], progress: FetchProgress | None
    ) -> Block:
        """Raises BlockNotFound."""
        if cid.is_identity:
            return Block.inline(cid)
        if progress is not None:
            progress.follow(lambda: (self._wants.report(cid),))
        async with self._slots:
            # Its bytes were hashed to this multihash.
            return Block(cid, await self._wait(session, cid, hints))

    def wantlist(self) -> tuple[CID, ...]:
        return self._wants.wantlist()

    def asked(self, peer: str) -> int:
        """Blocks that are wanted of that peer now."""
        return self._wants.asked(peer)

    def expects(self, peer: str) -> bool:
        """Whether a block from that peer can be anything but unsolicited."""
        return self._wants.expects(peer)

    def on_connect(self, peer: str) -> None:
        self._wants.on_connect(peer, self._loop.time())
        self._wantlist.schedule()

    def on_disconnect(self, peer: str) -> None:
        self._wants.on_disconnect(peer, self._loop.time())
        self._wantlist.schedule()

    def on_presences(self, peer: str, presences: Sequence[Presence]) -> int:
        """How many of them answer what the peer was asked."""
        answers = self._wants.on_presences(peer, presences, self._loop.time())
        self._wantlist.schedule()
        return answers

    def on_blocks(self, peer: str, blocks: Sequence[ReceivedBlock]) -> SortedBlocks:
        """Verified blocks; callers get those that this peer was asked for."""
        result = self._wants.on_blocks(peer, blocks, self._loop.time())
        for block in result.wanted:
            self._deliver(block)
        self._wantlist.schedule()
        return result

    def close(self) -> None:
        """Ends what waits with BlockNotFound."""
        self._wantlist.close()
        for cid in self._wants.wantlist():
            self._fail(cid, BlockNotFound(cid, "this node is shutting down"))

    def _on_unreachable(self, peer: str) -> None:
        with self._guard.around("going on without", peer):
            self._wants.on_unreachable(peer, self._loop.time())
        self._wantlist.schedule()

    # Callers.

    async def _wait(self, session: SessionPeers, cid: CID, hints: Sequence[str]) -> bytes:
        if self._tasks.closed:
            raise BlockNotFound(cid, "this node is shutting down")
        waiter: asyncio.Future[bytes] = self._loop.create_future()
        waiters = self._waiters.setdefault(cid.multihash, set())
        waiters.add(waiter)
        self._wants.add(cid, session, hints, self._loop.time())
        self._wantlist.schedule()
        self._wanting.set()
        try:
            return await waiter
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiters.get(cid.multihash) is waiters:
                self._withdraw(cid)

    def _withdraw(self, cid: CID) -> None:
        del self._waiters[cid.multihash]
        self._wants.cancel(cid, self._loop.time())
        self._wantlist.schedule()

    def _deliver(self, block: ReceivedBlock) -> None:
        for waiter in self._waiters.pop(block.multihash, ()):
            if not waiter.done():
                waiter.set_result(block.data)

    def _fail(self, cid: CID, error: BlockNotFound) -> None:
        for waiter in self._waiters.pop(cid.multihash, ()):
            if not waiter.done():
                waiter.set_exception(error)

    # Time.

    async def _watch(self) -> None:
        """While a block is wanted, look which peers are late."""
        ticks, excused = 0, False
        while await self._wanting.wait():
            due = self._loop.time() + _TICK
            await asyncio.sleep(_TICK)
            excused = not excused and self._loop.time() - due > _TICK
            if excused:
                continue  # this loop was late itself: what has come meanwhile is read first
            ticks += 1
            with self._guard.around("a look at what is late", self._self_id):
                self._look(self._loop.time(), all_wants=ticks % _TICKS_A_LOOK == 0)
            self._wantlist.schedule()
            if not self._waiters:
                self._wanting.clear()

    def _look(self, now: float, *, all_wants: bool) -> None:
        """A peer or a want that breaks this keeps no other from being looked at."""
        for peer in self._wants.awaited():
            with self._guard.around("late blocks", peer):
                self._wants.chase(peer, now)
        if not all_wants:
            return
        for cid in self._wants.overdue(now):
            over: GivenUp | None = GivenUp(cid, FetchReport(note="waiting for it failed; the log says why"))
            with self._guard.around("a want", str(cid)):
                over = self._wants.look(cid, now)
            if over is not None:
                self._give_up(over)
        with self._guard.around("wants in line", self._self_id):
            self._wants.on_tick(now)
        self._fail_forgotten()

    def _give_up(self, over: GivenUp) -> None:
        self._fail(over.cid, BlockNotFound.after(over.cid, over.report))
        with self._guard.around("a want that is over", str(over.cid)):
            self._wants.cancel(over.cid, self._loop.time())

    def _fail_forgotten(self) -> None:
        """Every caller has a want, unless a failure came between: then no peer would ever answer it."""
        if len(self._waiters) == len(self._wants):
            return
        for cid in [CID.v1(RAW, multihash) for multihash in self._waiters]:
            if cid not in self._wants:
                self._fail(cid, BlockNotFound(cid, "fetching it failed; the log says why"))
