"""Catching up: pulls what this node has missed from one member.

Heads first: which logs moved since we last asked (a few bytes a log), then their batches in pages of about a
mebibyte, in the order in which that member applied them, so that each builds on what came before. Whatever is
applied stays, so an interrupted pull goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from cluster.common import wire
from cluster.common.methods import BATCHES, HEADS, MEMBERS
from cluster.pinset.batch import MAX_BATCH_BYTES, AuthorLog
from cluster.ports import CallFailed, PeerOffline
from cluster.replication.admission import Admission
from cluster.replication.catchup_server import (
    MAX_SHOWN,
    MAX_WANTS,
    PAGE_BYTES,
    read_records,
)
from cluster.replication.context import ReplicationContext
from cluster.replication.fork_watch import ForkWatch
from cluster.replication.heads import Heads, encode_logs

PATIENCE = 45.0
"""Seconds that one member may take without giving anything new: the others wait for their turn."""

_MAX_ANSWER = PAGE_BYTES + MAX_BATCH_BYTES + 64 * 1024
_FROM_THE_START = b"", 0
_log = logging.getLogger(__name__)


class CatchUp:
    """Asks one member at a time; remembers how far each had come when all that it has was here."""

    def __init__(self, context: ReplicationContext, admission: Admission, forks: ForkWatch) -> None:
        self._forks = forks
        self._context = context
        self._replica = context.replica
        self._members = context.members
        self._calls = context.calls
        self._admission = admission
        self._cursors: dict[str, tuple[bytes, int]] = {}

    async def pull(self, peer: str) -> Heads:
        """Bring everything that this member has and we lack; its last answer.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        async with _patience(peer) as deadline:
            return await self._pull(peer, deadline)

    async def _pull(self, peer: str, deadline: asyncio.Timeout) -> Heads:
        cursor = self._cursors.get(peer, _FROM_THE_START)
        complete = True
        while True:
            heads = await self._heads(peer, cursor)
            if heads.members != self._members.digest():
                await self._exchange_records(peer)
            gaps = heads.gaps(self._replica.head)
            if gaps:
                _log.warning("%s has cut %d logs before what is missing here: ask another", peer, len(gaps))
            behind = await self._behind(heads, gaps)
            complete = await self._pull_batches(peer, behind, deadline) and complete and not gaps
            cursor = heads.store, heads.until
            if complete:  # else ask for all of it again: something waits for what another member has
                self._cursors[peer] = cursor
            if not heads.more:
                return heads

    async def _heads(self, peer: str, cursor: tuple[bytes, int]) -> Heads:
        """Its heads; a member that has lost its list, by an old backup, is shown ours first."""
        try:
            return await self._ask_heads(peer, cursor)
        except CallFailed:
            await self._exchange_records(peer)
            return await self._ask_heads(peer, cursor)

    async def _ask_heads(self, peer: str, cursor: tuple[bytes, int]) -> Heads:
        have = self._replica.heads_digest()
        request = wire.encode({"store": cursor[0], "since": cursor[1], "have": have})
        heads = Heads.decode(await self._calls.call(peer, HEADS.name, request))
        self._note(peer, heads, afresh=heads.store != cursor[0])
        return heads

    def _note(self, peer: str, heads: Heads, *, afresh: bool) -> None:
        """What that member has, as it has just told."""
        self._forks.heads_told(peer, heads)
        progress, now = self._context.progress, self._context.now()
        if heads.all_heads == self._replica.heads_digest():
            progress.equals(peer, self._replica.heads(), now)
            return
        if afresh:
            progress.begins(peer)
        progress.has(peer, heads.logs, now)
        if not heads.more:
            progress.is_whole(peer)

    async def _behind(self, heads: Heads, gaps: Collection[AuthorLog]) -> list[tuple[AuthorLog, int]]:
        forks = self._replica.forks
        told = ((log, min(sequence, forks.get(log, sequence + 1) - 1)) for log, sequence in heads.logs)
        behind = [
            (log, sequence)
            for log, sequence in told
            if sequence > self._replica.head(log) and log not in gaps
        ]
        if any(log == self._replica.log for log, _ in behind):
            _log.warning("another member has seen more of our writing than we have: a new epoch begins")
            await self._replica.begin_epoch()
        return behind

    async def _pull_batches(
        self, peer: str, behind: Sequence[tuple[AuthorLog, int]], deadline: asyncio.Timeout
    ) -> bool:
        """Pull until these heads are reached; False when no more can be applied now."""
        while True:
            lacking = [log for log, end in behind if end > self._replica.head(log)]
            if not lacking:
                return True
            applied = 0
            for first in range(0, len(lacking), MAX_WANTS):
                applied += await self._pull_page(peer, lacking[first : first + MAX_WANTS], deadline)
            if not applied:
                return False

    async def _pull_page(self, peer: str, logs: Sequence[AuthorLog], deadline: asyncio.Timeout) -> int:
        wants = encode_logs([(log, self._replica.head(log)) for log in logs])
        answer = await self._calls.call(peer, BATCHES.name, wire.encode({"wants": wants}))
        envelopes = wire.Fields.decode(answer, _MAX_ANSWER).datas("batches", PAGE_BYTES // 100)
        before = deadline.when()
        deadline.reschedule(None)  # the work on them is ours
        applied = await self._admission.admit_pulled(envelopes, peer)
        deadline.reschedule(asyncio.get_running_loop().time() + PATIENCE if applied else before)
        return applied

    async def _exchange_records(self, peer: str) -> None:
        request = wire.encode({"records": [*self._members.records(MAX_SHOWN)]})
        answer = await self._calls.call(peer, MEMBERS.name, request)
        await self._members.accept(read_records(answer), vouched=self._members.is_trusted(peer))


@asynccontextmanager
async def _patience(peer: str) -> AsyncIterator[asyncio.Timeout]:
    """Raises PeerOffline when it is at an end."""
    deadline = asyncio.timeout(PATIENCE)
    try:
        async with deadline:
            yield deadline
    except TimeoutError:
        if not deadline.expired():
            raise
        raise PeerOffline(f"{peer} has given nothing new for {PATIENCE:.0f} s") from None
