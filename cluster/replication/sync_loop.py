"""Decides whom to catch up with, and when: on every new connection, on every gap, and from time to time.

This makes replication right, where gossip makes it fast: nothing depends on a message arriving, on order, or
on a clock. Members are asked side by side: one that stands still delays none of the others.
"""

from __future__ import annotations

import asyncio
import logging

from blockstore.common.tasks import Tasks, open_tasks
from cluster.common.loops import steadily
from cluster.errors import BadUpdate, DamagedDocument, SnapshotUnavailable
from cluster.ports import CallFailed, PeerOffline
from cluster.replication.anti_entropy import AntiEntropy
from cluster.replication.catchup import CatchUp
from cluster.replication.context import ReplicationContext
from cluster.replication.log_gaps import LogGaps
from cluster.replication.mending import Mending
from cluster.replication.snapshots import Snapshots

SYNC_INTERVAL = 2.0
"""Seconds between asking one member without any occasion: a call of some hundred bytes.

Occasions are missed: gossip has no mesh yet for a second or two after a connection, and a process that was
stopped is told nothing when it goes on. All that still differs a few seconds after a fault waits for this.
"""

COMPARE_INTERVAL = 600.0
"""Seconds between comparing documents with a member whose log equals ours."""

FIRST_COMPARISON = 30.0
"""Seconds after the start until the first one: it reads all digests, and what is behind comes first."""

AT_ONCE = 16
"""Members that are asked side by side; each may have some mebibytes on their way. Further ones wait."""

FANOUT = 2
"""Members that are told at once of what catching up brought: so it spreads where gossip did not reach."""

_GATHER = 0.1  # seconds between two times that one member is asked, however many occasions there are
_log = logging.getLogger(__name__)


class SyncLoop:
    """Members to ask, each by one task at a time, and the loops that start those."""

    def __init__(
        self,
        context: ReplicationContext,
        catchup: CatchUp,
        anti_entropy: AntiEntropy,
        snapshots: Snapshots,
        mending: Mending,
    ) -> None:
        self._context = context
        self._catchup = catchup
        self._anti_entropy = anti_entropy
        self._snapshots = snapshots
        self._mending = mending
        self._gaps = LogGaps(context.replica.head)
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._wanted: dict[str, bool] = {}  # members to ask -> whether to show them how far we are
        self._busy: set[str] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._compared: dict[str, float] = {}
        self._comparing = asyncio.Lock()
        self._opened = asyncio.get_running_loop().time()
        context.calls.on_peer_change(self._on_peer_change)

    def ask(self, peer: str, *, show: bool = False) -> None:
        """Catch up with that member soon; `show`: and let it see whether we have something that it lacks."""
        members, us = self._context.members, self._context.local.peer
        if members.is_member(peer) and peer != us:
            if peer not in self._wanted and peer not in self._busy:
                self._queue.put_nowait(peer)
            self._wanted[peer] = self._wanted.get(peer, False) or show

    def ask_all(self) -> None:
        """Catch up soon with every member that is connected."""
        for peer in sorted(self._context.calls.peers()):
            self.ask(peer)

    async def sync(self, peer: str, *, show: bool = False) -> None:
        """Bring all that this member has and we lack. Raises CallFailed, PeerOffline, BadUpdate."""
        await self._mend(peer)
        await self._start_from_snapshot(peer)
        try:
            pulled = await self._catchup.pull(peer, show=show)
        finally:
            self._close_gaps(peer)
        heads = pulled.heads
        self._context.skews.observe(peer, heads.now - self._context.now())
        if pulled.news:
            _log.debug("caught up with %s", peer)
            self._ask_some(FANOUT, besides=peer)
        elif heads.all_heads == self._context.replica.heads_digest() and self._comparison_is_due(peer):
            await self.repair(peer)

    async def _mend(self, peer: str) -> None:
        try:
            await self._mending.mend_damaged(peer)
        except (CallFailed, BadUpdate) as error:  # what it has cannot help: another one's may
            _log.error("what is damaged here cannot be made again from %s: %s", peer, error)

    async def _start_from_snapshot(self, peer: str) -> None:
        try:
            await self._snapshots.take_if_due(peer, wanted=peer in self._gaps.donors)
        except SnapshotUnavailable as error:
            self._gaps.refused(peer, self._now())
            _log.info("no snapshot: %s", error)

    def _close_gaps(self, peer: str) -> None:
        """Of a log that it has cut, ask the other members for the rest; when all have, for a snapshot."""
        members = self._context.members
        connected = self._context.calls.peers() & members.peers()
        self._gaps.asked(peer, self._catchup.gaps(peer))
        for other in sorted(self._gaps.next_to_ask(connected, members.is_trusted, self._now())):
            self.ask(other)

    async def repair(self, peer: str) -> frozenset[int]:
        """Compare documents with a member whose log equals ours; the numbers of those made again.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        async with self._comparing:
            differing = await self._anti_entropy.repair(peer)
        self._compared[peer] = asyncio.get_running_loop().time()
        return differing

    async def run(self) -> None:
        """Asks those that are wanted, side by side."""
        async with open_tasks() as tasks:

            async def start_next() -> None:
                self._start(await self._queue.get(), tasks)

            await steadily(self._context.guard, "catching up", "members", start_next)

    async def run_periodically(self) -> None:
        """Asks some connected member now and then, in case every occasion was missed."""
        self.ask_all()
        guard = self._context.guard
        await steadily(guard, "choosing a member to catch up with", "members", self._ask_one)

    def _start(self, peer: str, tasks: Tasks) -> None:
        self._busy.add(peer)
        tasks.spawn(self._serve(peer))

    async def _serve(self, peer: str) -> None:
        """Ask that member for as long as there are occasions to."""
        try:
            async with self._places:
                while peer in self._wanted:
                    show = self._wanted.pop(peer)
                    with self._context.guard.around("catching up", peer):
                        await self._sync_now(peer, show)
                    await asyncio.sleep(_GATHER)
        finally:
            self._busy.discard(peer)

    async def _sync_now(self, peer: str, show: bool) -> None:
        try:
            await self.sync(peer, show=show)
        except (CallFailed, PeerOffline, BadUpdate, DamagedDocument) as error:
            _log.info("cannot catch up with %s now: %s", peer, error)
        except OSError as error:  # a full disk: replication goes on when there is room again
            _log.warning("what %s has cannot be kept now: %s", peer, error)

    async def _ask_one(self) -> None:
        await asyncio.sleep(SYNC_INTERVAL * self._context.local.chance.uniform(0.75, 1.25))
        await self._mending.mend_alone()
        self._ask_some(1)

    def _ask_some(self, count: int, besides: str = "") -> None:
        """Members drawn by lot: what they lack is theirs, what we lack is ours a moment later."""
        context = self._context
        connected = sorted((context.calls.peers() & context.members.peers()) - {besides})
        for peer in context.local.chance.sample(connected, min(count, len(connected))):
            self.ask(peer, show=True)

    def _on_peer_change(self, peer: str, connected: bool) -> None:
        if connected:
            self.ask(peer)

    def _comparison_is_due(self, peer: str) -> bool:
        last = self._compared.get(peer, self._opened + FIRST_COMPARISON - COMPARE_INTERVAL)
        return asyncio.get_running_loop().time() - last >= COMPARE_INTERVAL and not self._comparing.locked()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
