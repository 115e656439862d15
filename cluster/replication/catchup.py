"""Catching up: pulls what this node has missed from one member.

Heads first: which logs moved since we last asked (a few bytes a log), then their batches in pages of about a
mebibyte, in the order in which that member applied them, so that each builds on what came before. The next
page is on its way while one is applied. Whatever is applied stays, so an interrupted pull goes on where it
stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.common.tasks import let_go
from cluster.common import wire
from cluster.common.cooperative import TimeSlice
from cluster.common.methods import BATCHES, HEADS, MEMBERS
from cluster.pinset.log.batch import MAX_BATCH_BYTES, AuthorLog, OpenedBatch
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
from cluster.replication.log_gaps import NO_GAPS, Begins
from cluster.replication.pull_claims import PullClaim, PullClaims

PATIENCE = 45.0
"""Seconds that one member may take without giving anything new: its place is another's then."""

_MAX_ANSWER = PAGE_BYTES + MAX_BATCH_BYTES + 64 * 1024
_FROM_THE_START = b"", 0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PulledPage:
    """Batches of one answer, read and not verified yet, and how far the logs have come with them."""

    batches: tuple[OpenedBatch, ...]
    reached: Mapping[AuthorLog, int]

    def moves(self, before: Mapping[AuthorLog, int]) -> bool:
        """Whether anything of it lies behind what was asked for."""
        return any(sequence > before[log] for log, sequence in self.reached.items())


@dataclass(frozen=True, slots=True)
class Pulled:
    """That member's last answer, and whether anything came that was not here."""

    heads: Heads
    news: bool


class CatchUp:
    """Asks members side by side; remembers how far each had come when all that it has was here."""

    def __init__(self, context: ReplicationContext, admission: Admission, forks: ForkWatch) -> None:
        self._forks = forks
        self._context = context
        self._replica = context.replica
        self._members = context.members
        self._calls = context.calls
        self._slices = context.local.slices
        self._admission = admission
        self._claims = PullClaims()
        self._cursors: dict[str, tuple[bytes, int]] = {}
        self._gaps: dict[str, Begins] = {}

    async def pull(self, peer: str, *, show: bool = False) -> Pulled:
        """Bring everything that this member has and we lack.

        `show`: tell it how far we are, so that it asks us where we have more. Raises CallFailed, PeerOffline,
        BadUpdate.
        """
        with self._claims.claim(peer) as claim:
            async with patience(peer) as deadline:
                heads = await self._pull(claim, deadline, show=show)
            return Pulled(heads, claim.brought)

    def gaps(self, peer: str) -> Begins:
        """Logs that it has cut before what was missing here, when it was last asked."""
        return self._gaps.get(peer, NO_GAPS)

    async def _pull(self, claim: PullClaim, deadline: asyncio.Timeout, *, show: bool) -> Heads:
        peer = claim.peer
        cursor = self._cursors.get(peer, _FROM_THE_START)
        complete = True
        found: dict[AuthorLog, int] = {}
        while True:
            heads = await self._heads(peer, cursor, show=show)
            if heads.members != self._members.digest():
                await self.exchange_records(peer)
            gaps = heads.gaps(self._replica.head)
            found |= {log: heads.extents[log].begin for log in gaps}
            if gaps:
                _log.warning("%s has cut %d logs before what is missing here: ask another", peer, len(gaps))
            paused = {log for log, _ in heads.logs if self._context.holds_back(log)}
            behind = await self._behind(heads, {*gaps, *paused})
            complete = await self._pull_batches(claim, behind, deadline) and complete
            complete = complete and not gaps and not paused
            cursor = heads.store, heads.until
            if complete:  # else ask for all of it again: something waits for what another member has
                self._cursors[peer] = cursor
            if not heads.more:
                self._gaps[peer] = found
                return heads

    async def _heads(self, peer: str, cursor: tuple[bytes, int], *, show: bool) -> Heads:
        """Its heads; a member that has lost its list, by an old backup, is shown ours first."""
        try:
            return await self._ask_heads(peer, cursor, show=show)
        except CallFailed:
            await self.exchange_records(peer)
            return await self._ask_heads(peer, cursor, show=show)

    async def _ask_heads(self, peer: str, cursor: tuple[bytes, int], *, show: bool) -> Heads:
        have = self._replica.heads_digest()
        request = wire.encode({"store": cursor[0], "since": cursor[1], "have": have, "ask": int(show)})
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

    async def _behind(self, heads: Heads, besides: Collection[AuthorLog]) -> list[tuple[AuthorLog, int]]:
        forks = self._replica.forks
        told = ((log, min(sequence, forks.get(log, sequence + 1) - 1)) for log, sequence in heads.logs)
        behind = [
            (log, sequence)
            for log, sequence in told
            if sequence > self._replica.head(log) and log not in besides
        ]
        if any(log == self._replica.log for log, _ in behind):
            _log.warning("another member has seen more of our writing than we have: a new epoch begins")
            await self._replica.begin_epoch()
        return behind

    async def _pull_batches(
        self, claim: PullClaim, behind: Sequence[tuple[AuthorLog, int]], deadline: asyncio.Timeout
    ) -> bool:
        """Pull until these heads are reached; False when no more can be applied now."""
        while lacking := [log for log, end in behind if end > self._replica.head(log)]:
            ours = self._claims.take(claim, lacking[:MAX_WANTS])
            if not ours:  # others bring it all just now
                deadline.reschedule(None)
                await self._claims.change()
                deadline.reschedule(_in(PATIENCE))
                continue
            before = self._heads_of(ours)
            await self._pull_pages(claim, before, deadline)
            self._claims.release(claim)
            if self._heads_of(ours) == before:
                return False
            claim.brought = True
        return True

    async def _pull_pages(
        self, claim: PullClaim, reached: Mapping[AuthorLog, int], deadline: asyncio.Timeout
    ) -> None:
        """PulledPage after page of these logs, for as long as all of each page can be applied."""
        page = await self._page(claim.peer, reached, ahead=False)
        while page.moves(reached):
            reached = {**reached, **page.reached}
            coming = asyncio.create_task(self._page(claim.peer, reached, ahead=True))
            try:
                await self._apply(claim, page, deadline)
                if any(self._replica.head(log) < end for log, end in page.reached.items()):
                    break
                page = await coming
            finally:
                await let_go(coming)

    async def _apply(self, claim: PullClaim, page: PulledPage, deadline: asyncio.Timeout) -> None:
        heads, patience = self._heads_of(page.reached), deadline.when()
        claim.applies()
        deadline.reschedule(None)  # the work on them is ours
        await self._admission.admit_pulled(page.batches, claim.peer)
        deadline.reschedule(_in(PATIENCE) if self._heads_of(page.reached) != heads else patience)
        claim.gives()

    async def _page(self, peer: str, reached: Mapping[AuthorLog, int], *, ahead: bool) -> PulledPage:
        """What comes behind `reached`; `ahead`: not all of that is here for good yet."""
        request = wire.encode({"wants": encode_logs(list(reached.items())), "ahead": int(ahead)})
        answer = await self._calls.call(peer, BATCHES.name, request)
        return await _read_page(answer, reached, self._slices())

    def _heads_of(self, logs: Iterable[AuthorLog]) -> dict[AuthorLog, int]:
        return {log: self._replica.head(log) for log in logs}

    async def exchange_records(self, peer: str) -> None:
        """Show each other who belongs: it may not have heard that we do. Raises CallFailed, PeerOffline."""
        request = wire.encode({"records": [*self._members.records(MAX_SHOWN)]})
        answer = await self._calls.call(peer, MEMBERS.name, request)
        await self._members.accept(read_records(answer), vouched=self._members.is_trusted(peer))


@asynccontextmanager
async def patience(peer: str) -> AsyncIterator[asyncio.Timeout]:
    """Raises PeerOffline when it is at an end."""
    deadline = asyncio.timeout(PATIENCE)
    try:
        async with deadline:
            yield deadline
    except TimeoutError:
        if not deadline.expired():
            raise
        raise PeerOffline(f"{peer} has given nothing new for {PATIENCE:.0f} s") from None


async def _read_page(answer: bytes, wanted: Mapping[AuthorLog, int], time_slice: TimeSlice) -> PulledPage:
    """Raises BadUpdate."""
    batches: list[OpenedBatch] = []
    reached: dict[AuthorLog, int] = {}
    for envelope in wire.Fields.decode(answer, _MAX_ANSWER).datas("batches", PAGE_BYTES // 100):
        opened = OpenedBatch.read(envelope)
        batches.append(opened)
        log, sequence = opened.batch.log, opened.batch.sequence
        if log in wanted:
            reached[log] = max(sequence, reached.get(log, 0))
        await time_slice.yield_if_due()
    return PulledPage(tuple(batches), reached)


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds
