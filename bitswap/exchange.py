"""BitswapExchange: fetches blocks from peers and serves them. The thin shell around the pure parts.

`wants` decides whom we ask, `server` what others get; here messages are routed between them, the network and
the callers who wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bitswap.errors import BadMessage
from bitswap.fetching.session import Session
from bitswap.fetching.want import GivenUp
from bitswap.fetching.wants import Wants, WantTimeouts
from bitswap.message import PROTOCOLS, Message, decode, reading
from bitswap.network import MessageNetwork, PeerUnreachable, ServedBlockSource
from bitswap.received import ReceivedBlock, identify
from bitswap.sender import Sender
from bitswap.serving.peer_ledgers import LedgerBounds
from bitswap.serving.server import Server
from bitswap.serving.work_limits import WorkLimits, WorkRates
from bitswap.statistics import Counters, Statistics
from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.common.guard import Guard
from blockstore.common.tasks import Tasks, open_tasks
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchReport

_log = logging.getLogger(__name__)
_TICK = 0.1  # seconds between looks at who is late with a block
_LOOK = 5  # ticks between looks at all wants
_ITEM_BYTES = 48  # of a usual entry: what a message that cannot be read is counted by
_INLINE_BYTES = 32 * 1024  # messages up to this are read on the loop: a thread would cost more


@dataclass(frozen=True, slots=True)
class BitswapSettings:
    """`wants`: blocks asked for at once, more fetches wait their turn. `bounds`: what peers get of us,
    `rates`: how much they may ask.
    """

    patience: WantTimeouts = field(default_factory=WantTimeouts)
    bounds: LedgerBounds = field(default_factory=LedgerBounds)
    rates: WorkRates = field(default_factory=WorkRates)
    wants: int = 4096


@asynccontextmanager
async def open_bitswap(
    store: ServedBlockSource,
    network: MessageNetwork,
    settings: BitswapSettings | None = None,
    guard: Guard | None = None,
) -> AsyncIterator[BitswapExchange]:
    """Fetch from and serve to the peers of that network for as long as the block lasts.

    Leaving it ends pending fetches with BlockNotFound; messages that come later are ignored.
    What a peer sends ends no more than the work for that peer: `guard` counts what nobody foresaw.
    """
    async with open_tasks() as tasks:
        with ThreadPoolExecutor(2, "bitswap") as readers:
            exchange = BitswapExchange(
                store, network, settings or BitswapSettings(), tasks, readers, guard or Guard()
            )
            network.on_message(PROTOCOLS, exchange.on_message)
            network.on_peer_change(exchange.on_peer_change)
            for peer in network.peers():
                exchange.on_peer_change(peer, True)
            try:
                yield exchange
            finally:
                exchange.close()


class BitswapExchange:
    """Satisfies `blockstore.blocks.Exchange`. Made by `open_bitswap`."""

    def __init__(
        self,
        store: ServedBlockSource,
        network: MessageNetwork,
        settings: BitswapSettings,
        tasks: Tasks,
        readers: Executor,
        guard: Guard,
    ) -> None:
        self._network = network
        self._tasks = tasks
        self._readers = readers
        self._guard = guard
        self._counters = Counters()
        self._post = Sender(network, self._counters)
        self._pace = WorkLimits(settings.rates)
        self._server = Server(store, self._post, tasks, self._counters, settings.bounds, self._pace, guard)
        self._long_message = asyncio.Lock()
        self._wants = Wants(settings.patience)
        self._session = Session()
        self._slots = asyncio.Semaphore(settings.wants)
        self._waiters: dict[bytes, set[asyncio.Future[bytes]]] = {}
        self._peers: set[str] = set()
        self._telling: set[str] = set()
        self._flush: asyncio.Handle | None = None
        self._wanting = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        tasks.spawn(self._watch())

    def __repr__(self) -> str:
        return f"<BitswapExchange of {self._network.self_id}: {self._wants}, {self._server}>"

    # For readers of DAGs.

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`. Asks hints and peers that had other blocks, then all that are connected."""
        return await self.fetch_within(self._session, cid, hints, progress)

    async def fetch_within(
        self, session: Session, cid: CID, hints: Sequence[str], progress: FetchProgress | None
    ) -> Block:
        """Fetch on behalf of a session. Raises BlockNotFound."""
        if cid.is_identity:
            return Block.inline(cid)
        if progress is not None:
            progress.follow(lambda: (self._wants.report(cid),))
        async with self._slots:
            # Its bytes were hashed to this multihash.
            return Block(cid, await self._wait(session, cid, hints))

    async def on_stored(self, cids: Sequence[CID]) -> None:
        """These blocks are in the store now: peers that wait for them get them."""
        await self._server.on_stored(cids)

    def session(self, root: CID) -> BitswapSession:
        return BitswapSession(self, Session(root))

    # For people.

    def statistics(self) -> Statistics:
        return self._counters.snapshot(len(self._wants), self._server.statistics())

    def wantlist(self, peer: str | None = None) -> tuple[CID, ...]:
        """What we want, or what that peer wants of us."""
        return self._wants.wantlist() if peer is None else self._server.wantlist(peer)

    # For the network.

    async def on_message(self, peer: str, protocol: str, data: bytes) -> None:
        """A message came; returns when it is dealt with, so that its sender cannot run ahead of us."""
        items = 1 + len(data) // _ITEM_BYTES
        with self._guard.around("a Bitswap message", peer):
            items = await self._on_message(peer, protocol, data)
        if items and self._is_here(peer):
            await self._hold_back(peer, items)

    async def _on_message(self, peer: str, protocol: str, data: bytes) -> int:
        """How many items of it made work for nothing."""
        if not self._is_here(peer):
            return 0
        self._counters.messages_received += 1
        self._post.heard(peer, protocol)
        try:
            message, arrivals = await self._read(data, self._wants.expects(peer))
        except BadMessage as error:
            self._counters.bad_messages += 1
            _log.debug("message from %s dropped: %s", peer, error)
            return 1 + len(data) // _ITEM_BYTES
        useless = self._on_answers(peer, message, arrivals)
        if (message.entries or message.full) and self._is_here(peer):
            await self._server.on_entries(peer, message.entries, message.full)
        return useless + len(message.entries)

    async def _hold_back(self, peer: str, items: int) -> None:
        """Who sends more than others can bear waits before we read on, and who never stops is let go."""
        if not (seconds := self._pace.charge(peer, items, self._loop.time())):
            return
        try:
            await asyncio.sleep(seconds)
        finally:
            self._pace.release(peer)
        if self._pace.is_abuse(peer):
            _log.debug("%s floods us with messages that lead to nothing: let go", peer)
            await self._network.disconnect(peer)

    def on_peer_change(self, peer: str, connected: bool) -> None:
        if self._tasks.closed or connected == (peer in self._peers):
            return
        if connected:
            self._peers.add(peer)
            self._wants.on_connect(peer, self._loop.time())
        else:
            self._peers.discard(peer)
            self._wants.on_disconnect(peer, self._loop.time())
            self._server.on_disconnect(peer)
            self._post.forget(peer)
        self._tell_soon()

    def close(self) -> None:
        """Part of leaving `open_bitswap`."""
        self._tasks.close()
        if self._flush is not None:
            self._flush.cancel()
        for cid in self._wants.wantlist():
            self._fail(cid, BlockNotFound(cid, "this node is shutting down"))

    # Fetching.

    async def _wait(self, session: Session, cid: CID, hints: Sequence[str]) -> bytes:
        if self._tasks.closed:
            raise BlockNotFound(cid, "this node is shutting down")
        waiter: asyncio.Future[bytes] = self._loop.create_future()
        waiters = self._waiters.setdefault(cid.multihash, set())
        waiters.add(waiter)
        self._wants.add(cid, session, hints, self._loop.time())
        self._tell_soon()
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
        self._tell_soon()

    def _deliver(self, arrival: ReceivedBlock) -> None:
        for waiter in self._waiters.pop(arrival.multihash, ()):
            if not waiter.done():
                waiter.set_result(arrival.data)

    def _fail(self, cid: CID, error: BlockNotFound) -> None:
        for waiter in self._waiters.pop(cid.multihash, ()):
            if not waiter.done():
                waiter.set_exception(error)

    async def _watch(self) -> None:
        """While something is wanted, look who is late."""
        ticks, excused = 0, False
        while await self._wanting.wait():
            due = self._loop.time() + _TICK
            await asyncio.sleep(_TICK)
            excused = not excused and self._loop.time() - due > _TICK
            if excused:
                continue  # we were late ourselves: what has come meanwhile is read first
            ticks += 1
            with self._guard.around("a look at what is late", self._network.self_id):
                self._look(self._loop.time(), all_wants=ticks % _LOOK == 0)
            self._tell_soon()
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
        with self._guard.around("wants in line", self._network.self_id):
            self._wants.on_tick(now)
        self._miss_none()

    def _give_up(self, over: GivenUp) -> None:
        self._fail(over.cid, BlockNotFound.after(over.cid, over.report))
        with self._guard.around("a want that is over", str(over.cid)):
            self._wants.cancel(over.cid, self._loop.time())

    def _miss_none(self) -> None:
        """Whoever waits has a want, unless a failure came between: nobody would ever answer them."""
        if len(self._waiters) == len(self._wants):
            return
        for cid in [CID.v1(RAW, multihash) for multihash in self._waiters]:
            if cid not in self._wants:
                self._fail(cid, BlockNotFound(cid, "fetching it failed; the log says why"))

    # Messages in.

    def _is_here(self, peer: str) -> bool:
        """Whether the peer is connected; its first message may overtake the news of that."""
        if peer not in self._peers and peer in self._network.peers():
            self.on_peer_change(peer, True)
        return peer in self._peers and not self._tasks.closed

    async def _read(self, data: bytes, expected: bool) -> tuple[Message, list[ReceivedBlock]]:
        if len(data) <= _INLINE_BYTES:
            return _read(data, expected)
        if expected:
            return await self._loop.run_in_executor(self._readers, _read, data, expected)
        return await self._read_in_steps(data), []

    async def _read_in_steps(self, data: bytes) -> Message:
        """A long message without a block for us. Not in a thread: that would hold the loop up for longer."""
        async with self._long_message:
            began = time.perf_counter()
            for message in reading(data):
                if message is not None:
                    return message
                await asyncio.sleep(time.perf_counter() - began)  # as long for others as for this
                began = time.perf_counter()
        raise BadMessage("nothing to read")

    def _on_answers(self, peer: str, message: Message, arrivals: Sequence[ReceivedBlock]) -> int:
        """Uses what we asked for; how many items we did not."""
        now = self._loop.time()
        useless = len(message.payloads)
        if message.presences:
            useless += len(message.presences) - self._wants.on_presences(peer, message.presences, now)
        if message.payloads:
            result = self._wants.on_blocks(peer, arrivals, now)
            self._counters.count(message.payloads, result.wanted, result.duplicates)
            for arrival in result.wanted:
                self._deliver(arrival)
            useless -= len(result.wanted) + len(result.duplicates)
            if result.wanted:
                self._network.note_use(peer)
                self._pace.earn(peer, len(result.wanted), now)
        self._tell_soon()
        return useless

    # Messages out.

    def _tell_soon(self) -> None:
        """Tell peers what changed, once for all that changes in this turn of the loop."""
        if self._flush is None and not self._tasks.closed:
            self._flush = self._loop.call_soon(self._tell_all)

    def _tell_all(self) -> None:
        self._flush = None
        for peer in self._wants.dirty():
            if peer not in self._telling:
                self._telling.add(peer)
                self._tasks.spawn(self._tell(peer))

    async def _tell(self, peer: str) -> None:
        """One message after the other, so that a want and its CANCEL arrive in order."""
        told = False
        try:
            with self._guard.around("telling wants", peer, PeerUnreachable):
                while entries := self._wants.take(peer):
                    await self._post.send(peer, Message(entries))
                told = True
        finally:
            self._telling.discard(peer)
        if not told:
            with self._guard.around("going on without", peer):
                self._wants.on_unreachable(peer, self._loop.time())
            self._tell_soon()


class BitswapSession:
    """An exchange for one DAG: peers that had some of its blocks are asked first for the others."""

    def __init__(self, exchange: BitswapExchange, session: Session) -> None:
        self._exchange = exchange
        self._session = session

    def __repr__(self) -> str:
        return f"<BitswapSession {self._session}>"

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`."""
        return await self._exchange.fetch_within(self._session, cid, hints, progress)

    def session(self, root: CID) -> BitswapSession:
        return self._exchange.session(root)


def _read(data: bytes, expected: bool) -> tuple[Message, list[ReceivedBlock]]:
    """Decode a message and name its blocks; blocks that nobody asked for are not worth hashing."""
    message = decode(data)
    return message, identify(message.payloads) if expected else []
