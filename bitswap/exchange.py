"""BitswapExchange: fetches blocks from peers and serves them; messages are taken to either half.

`fetching` decides whom we ask, `serving` what peers get.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field

from bitswap.accounts import PeerAccounts
from bitswap.errors import BadMessage
from bitswap.fetching.fetcher import Fetcher
from bitswap.fetching.session_peers import SessionPeers
from bitswap.fetching.want_timeouts import WantTimeouts
from bitswap.message import PROTOCOLS, Message
from bitswap.message_decoder import MessageDecoder
from bitswap.network import MessageNetwork, ServedBlockSource
from bitswap.received import ReceivedBlock
from bitswap.sender import Sender
from bitswap.serving.peer_ledgers import LedgerBounds
from bitswap.serving.server import Server
from bitswap.serving.work_limits import WorkLimits, WorkRates
from bitswap.session import BitswapSession
from bitswap.statistics import Counters, PeerStatistics, Statistics
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import Tasks, open_tasks
from blockstore.common.throttle import Throttle
from blockstore.fetch_progress import FetchProgress

_log = logging.getLogger(__name__)
_ITEM_BYTES = 48  # of a usual entry: what a message that cannot be read is counted by


@dataclass(frozen=True, slots=True)
class BitswapSettings:
    """`wants`: blocks asked for at once, more fetches wait their turn. `bounds`: what peers get of us,
    `rates`: how much they may ask, `up`: what blocks for them pass.
    """

    patience: WantTimeouts = field(default_factory=WantTimeouts)
    bounds: LedgerBounds = field(default_factory=LedgerBounds)
    rates: WorkRates = field(default_factory=WorkRates)
    wants: int = 4096
    up: Throttle = field(default_factory=Throttle)


@asynccontextmanager
async def open_bitswap(
    store: ServedBlockSource,
    network: MessageNetwork,
    settings: BitswapSettings | None = None,
    guard: Guard | None = None,
) -> AsyncIterator[BitswapExchange]:
    """Fetch from and serve to the peers of that network for as long as the block lasts.

    Leaving it ends pending fetches with BlockNotFound; messages that come later are ignored.
    What a peer sends ends no more than the work for that peer: `guard` counts what no code foresaw.
    """
    async with open_tasks() as tasks:
        with ThreadPoolExecutor(2, "bitswap") as threads:
            exchange = BitswapExchange(
                store, network, settings or BitswapSettings(), tasks, threads, guard or Guard()
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
        threads: Executor,
        guard: Guard,
    ) -> None:
        self._network = network
        self._tasks = tasks
        self._guard = guard
        self._counters = Counters()
        self._accounts = PeerAccounts(self._counters)
        self._limits = WorkLimits(settings.rates)
        self._decoder = MessageDecoder(threads)
        self._sender = sender = Sender(network, self._counters)
        limits = settings.bounds, self._limits, settings.up
        self._server = Server(store, sender, tasks, self._accounts, *limits, guard)
        self._fetcher = Fetcher(sender, tasks, guard, settings.patience, settings.wants, network.self_id)
        self._session = SessionPeers()
        self._peers: set[str] = set()
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<BitswapExchange of {self._network.self_id}: {self._fetcher}, {self._server}>"

    # For readers of DAGs.

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`. Asks hints and peers that had other blocks, then all that are connected."""
        return await self._fetcher.fetch(self._session, cid, hints, progress)

    def session(self, root: CID) -> BitswapSession:
        return BitswapSession(self._fetcher, root)

    async def on_stored(self, cids: Sequence[CID]) -> None:
        """These blocks are in the store now: peers that wait for them get them."""
        await self._server.on_stored(cids)

    # For operators.

    def statistics(self) -> Statistics:
        return self._counters.snapshot(len(self._fetcher), tuple(map(self.ledger, self._server.peers())))

    def ledgers(self) -> Sequence[PeerStatistics]:
        """Of the peers that are connected, and of those that something was exchanged with."""
        return [self.ledger(peer) for peer in dict.fromkeys((*self._peers, *self._accounts))]

    def ledger(self, peer: str) -> PeerStatistics:
        """Of one peer, connected or not."""
        wants, queued = self._server.queued(peer)
        return PeerStatistics(
            peer,
            wants,
            queued,
            self._fetcher.asked(peer),
            peer in self._peers,
            **asdict(self._accounts.of(peer)),
        )

    def wantlist(self, peer: str | None = None) -> tuple[CID, ...]:
        """What we want, or what that peer wants of us."""
        return self._fetcher.wantlist() if peer is None else self._server.wantlist(peer)

    # For the network.

    async def on_message(self, peer: str, protocol: str, data: bytes) -> None:
        """A message came; returns when it is dealt with, so that its sender cannot run ahead of us."""
        items = 1 + len(data) // _ITEM_BYTES
        with self._guard.around("a Bitswap message", peer):
            items = await self._on_message(peer, protocol, data)
        if items and self._is_here(peer):
            await self._hold_back(peer, items)

    def on_peer_change(self, peer: str, connected: bool) -> None:
        if self._tasks.closed or connected == (peer in self._peers):
            return
        if connected:
            self._peers.add(peer)
            self._fetcher.on_connect(peer)
        else:
            self._peers.discard(peer)
            self._fetcher.on_disconnect(peer)
            self._server.on_disconnect(peer)
            self._sender.forget(peer)

    def close(self) -> None:
        """Part of leaving `open_bitswap`."""
        self._tasks.close()
        self._fetcher.close()

    def _is_here(self, peer: str) -> bool:
        """Whether the peer is connected; its first message may overtake the news of that."""
        if peer not in self._peers and peer in self._network.peers():
            self.on_peer_change(peer, True)
        return peer in self._peers and not self._tasks.closed

    async def _on_message(self, peer: str, protocol: str, data: bytes) -> int:
        """How many items of it made work for nothing."""
        if not self._is_here(peer):
            return 0
        self._counters.messages_received += 1
        self._sender.heard(peer, protocol)
        try:
            message, blocks = await self._decoder.read(data, expected=self._fetcher.expects(peer))
        except BadMessage as error:
            self._counters.bad_messages += 1
            _log.debug("message from %s dropped: %s", peer, error)
            return 1 + len(data) // _ITEM_BYTES
        useless = self._on_answers(peer, message, blocks)
        if (message.entries or message.full) and self._is_here(peer):
            await self._server.on_entries(peer, message.entries, message.full)
        return useless + len(message.entries)

    def _on_answers(self, peer: str, message: Message, blocks: Sequence[ReceivedBlock]) -> int:
        """Uses what we asked for; how many items we did not."""
        useless = len(message.presences) + len(message.payloads)
        if message.presences:
            useless -= self._fetcher.on_presences(peer, message.presences)
        if message.payloads:
            useless -= self._on_blocks(peer, message, blocks)
        return useless

    def _on_blocks(self, peer: str, message: Message, blocks: Sequence[ReceivedBlock]) -> int:
        """How many of them we asked for."""
        result = self._fetcher.on_blocks(peer, blocks)
        self._accounts.received(peer, message.payloads, result.wanted, result.duplicates)
        if result.wanted:
            self._network.note_use(peer)
            self._limits.earn(peer, len(result.wanted), self._loop.time())
        return len(result.wanted) + len(result.duplicates)

    async def _hold_back(self, peer: str, items: int) -> None:
        """A peer that makes too much work waits before we read on; one that never stops is let go."""
        if not (seconds := self._limits.charge(peer, items, self._loop.time())):
            return
        try:
            await asyncio.sleep(seconds)
        finally:
            self._limits.release(peer)
        if self._limits.is_abuse(peer):
            _log.debug("%s floods us with messages that lead to nothing: let go", peer)
            await self._network.disconnect(peer)
