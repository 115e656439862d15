"""Decides whom to catch up with, and when: on every new connection, on every gap, and from time to time.

This makes replication right, where gossip makes it fast: nothing depends on a message arriving, on order, or
on a clock.
"""

from __future__ import annotations

import asyncio
import logging

from cluster.common.loops import steadily
from cluster.errors import BadUpdate
from cluster.ports import CallFailed, PeerOffline
from cluster.replication.anti_entropy import AntiEntropy
from cluster.replication.catchup import CatchUp
from cluster.replication.context import ReplicationContext

SYNC_INTERVAL = 30.0  # seconds between asking one member, without any occasion
COMPARE_INTERVAL = 600.0  # seconds between comparing documents with a member whose log equals ours
_log = logging.getLogger(__name__)


class SyncLoop:
    """A queue of members to ask, each in it once, and the loops that fill and empty it."""

    def __init__(self, context: ReplicationContext, catchup: CatchUp, anti_entropy: AntiEntropy) -> None:
        self._context = context
        self._catchup = catchup
        self._anti_entropy = anti_entropy
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._compared: dict[str, float] = {}
        context.calls.on_peer_change(self._on_peer_change)

    def ask(self, peer: str) -> None:
        """Catch up with that member soon."""
        members, us = self._context.members, self._context.local.peer
        if peer not in self._queued and members.is_member(peer) and peer != us:
            self._queued.add(peer)
            self._queue.put_nowait(peer)

    def ask_all(self) -> None:
        """Catch up soon with every member that is connected."""
        for peer in sorted(self._context.calls.peers()):
            self.ask(peer)

    async def sync(self, peer: str) -> None:
        """Bring all that this member has and we lack. Raises CallFailed, PeerOffline, BadUpdate."""
        heads = await self._catchup.pull(peer)
        self._context.skews.observe(peer, heads.now - self._context.now())
        if heads.all_heads == self._context.replica.heads_digest() and self._comparison_is_due(peer):
            await self.repair(peer)

    async def repair(self, peer: str) -> frozenset[int]:
        """Compare documents with a member whose log equals ours; the numbers of those made again.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        differing = await self._anti_entropy.repair(peer)
        self._compared[peer] = asyncio.get_running_loop().time()
        return differing

    async def run(self) -> None:
        """Asks those that are queued, one after another."""
        await steadily(self._context.guard, "catching up", "members", self._ask_next)

    async def run_periodically(self) -> None:
        """Queues some connected member now and then, in case every occasion was missed."""
        self.ask_all()
        guard = self._context.guard
        await steadily(guard, "choosing a member to catch up with", "members", self._queue_one)

    async def _ask_next(self) -> None:
        peer = await self._queue.get()
        self._queued.discard(peer)
        with self._context.guard.around("catching up", peer):
            try:
                await self.sync(peer)
            except (CallFailed, PeerOffline, BadUpdate) as error:
                _log.info("cannot catch up with %s now: %s", peer, error)
            except OSError as error:  # a full disk: replication goes on when there is room again
                _log.warning("what %s has cannot be kept now: %s", peer, error)

    async def _queue_one(self) -> None:
        chance = self._context.local.chance
        await asyncio.sleep(SYNC_INTERVAL * chance.uniform(0.75, 1.25))
        connected = self._context.calls.peers() & self._context.members.peers()
        if connected:
            self.ask(chance.choice(sorted(connected)))

    def _on_peer_change(self, peer: str, connected: bool) -> None:
        if connected:
            self.ask(peer)

    def _comparison_is_due(self, peer: str) -> bool:
        last = self._compared.get(peer)
        return last is None or asyncio.get_running_loop().time() - last >= COMPARE_INTERVAL
