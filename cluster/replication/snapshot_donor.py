"""One member's documents as they are read from it: what it has applied, then page after page."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from cluster.common import wire
from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.methods import HEADS, SNAPSHOT
from cluster.errors import BadUpdate
from cluster.pinset.documents.foreign_document import ForeignDocument, read_document
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.log.snapshot_place import LogEnd
from cluster.ports import PeerCalls, PeerOffline
from cluster.replication.catchup import patience
from cluster.replication.heads import Heads
from cluster.replication.snapshot_page import PageRequest, SnapshotPage

MAX_LOGS = 1 << 18
"""Of one donor: as many clients may have written a document, and each is remembered."""


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Documents that were read and bounded; `logs` moved since the page before, which they may show."""

    documents: tuple[ForeignDocument, ...]
    logs: dict[AuthorLog, int]
    next: int


class SnapshotDonor:
    """Made by `meet`. `ends` is what it had applied when we met: every page holds that much."""

    def __init__(self, calls: PeerCalls, peer: str, genesis: Genesis) -> None:
        self.peer = peer
        self.ends: dict[AuthorLog, LogEnd] = {}
        self._calls = calls
        self._genesis = genesis
        self._store = b""
        self._until = 0
        self._clients: set[int] = set()

    @classmethod
    async def meet(cls, calls: PeerCalls, peer: str, genesis: Genesis) -> SnapshotDonor:
        """Raises CallFailed, PeerOffline, BadUpdate."""
        donor = cls(calls, peer, genesis)
        async with patience(peer), aclosing(donor._heads()) as answers:
            async for heads in answers:
                donor.ends |= {log: _end(heads, log, sequence) for log, sequence in heads.logs}
                donor._admit(dict(heads.logs))
        return donor

    @property
    def logs(self) -> dict[AuthorLog, int]:
        return {log: end.sequence for log, end in self.ends.items()}

    async def page(self, first: int, last: int, time_slice: TimeSlice) -> ReadPage:
        """Documents from `first` on, before `last`. Raises CallFailed, PeerOffline, BadUpdate."""
        request = PageRequest(first, last, self._store, self._until)
        answer = await self._calls.call(self.peer, SNAPSHOT.name, bytes(request))
        page = SnapshotPage.decode(answer, request)
        logs = await self._moved(page)
        documents = []
        for parts in page.documents:
            documents.append(read_document(parts, self._genesis, self._clients))
            await time_slice.yield_if_due()
        return ReadPage(tuple(documents), logs, page.next)

    async def _moved(self, page: SnapshotPage) -> dict[AuthorLog, int]:
        if page.store != self._store:
            raise PeerOffline(f"{self.peer} was started again meanwhile")
        logs = dict(page.logs)
        self._until = page.until
        self._admit(logs)
        if page.more:
            async with patience(self.peer), aclosing(self._heads()) as answers:
                async for heads in answers:
                    logs |= dict(heads.logs)
                    self._admit(logs)
        return logs

    async def _heads(self) -> AsyncGenerator[Heads]:
        """What moved since the last answer."""
        more = True
        while more:
            request = wire.encode({"store": self._store, "since": self._until})
            heads = Heads.decode(await self._calls.call(self.peer, HEADS.name, request))
            if heads.more and heads.until <= self._until:
                raise BadUpdate(f"{self.peer} tells the same heads again and again")
            self._store, self._until, more = heads.store, heads.until, heads.more
            yield heads

    def _admit(self, logs: dict[AuthorLog, int]) -> None:
        self._clients |= {log.client for log in logs}
        if len(self._clients) > MAX_LOGS:
            raise BadUpdate(f"{self.peer} names more logs than a cluster has")


def _end(heads: Heads, log: AuthorLog, sequence: int) -> LogEnd:
    extent = heads.extents.get(log)
    return LogEnd(log, sequence, extent.hash if extent is not None else b"")
