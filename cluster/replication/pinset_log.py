"""The log as an operator sees it: how far behind each member is, catching up now, and cutting."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from cluster.common.hybrid_clock import seconds
from cluster.errors import BadUpdate
from cluster.pinset.log.batch import AuthorLog, OpenedBatch
from cluster.ports import CallFailed, PeerOffline
from cluster.replication.context import ReplicationContext
from cluster.replication.log_cutter import CutReport, LogCutter
from cluster.replication.sync_loop import SyncLoop


@dataclass(frozen=True, slots=True)
class AuthorLag:
    """How many batches of that author are missing, and when the newest of them was written, where known."""

    author: str
    batches: int
    written: float | None  # seconds since 1970, by the author's clock


@dataclass(frozen=True, slots=True)
class MemberLag:
    """What that member lacks, as of `seen` (seconds since 1970); None: it has not told yet what it has.

    `forks`: of logs that it wrote, the first numbers under which it signed two batches.
    """

    peer: str
    seen: float | None
    behind: tuple[AuthorLag, ...] = ()
    forks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that this member has is here now; or, with an `error`, why not."""

    peer: str
    seconds: float
    error: str = ""


class PinsetLog:
    """What the commands and routes about the log call."""

    def __init__(self, context: ReplicationContext, sync_loop: SyncLoop, cutter: LogCutter) -> None:
        self._context = context
        self._sync_loop = sync_loop
        self._cutter = cutter

    def cut(self, keep_bytes: int = 0) -> AsyncGenerator[CutReport]:
        """See LogCutter.cut."""
        return self._cutter.cut(keep_bytes)

    def catch_up_soon(self) -> int:
        """With every member that is connected; how many that are."""
        self._sync_loop.ask_all()
        return len(self._connected())

    async def catch_up(self) -> AsyncGenerator[CaughtUp]:
        """With every member that is connected, one after another, now."""
        for peer in sorted(self._connected()):
            began = time.monotonic()
            error = await self._error_of(peer)
            yield CaughtUp(peer, time.monotonic() - began, error)

    def _connected(self) -> frozenset[str]:
        return self._context.calls.peers() & self._context.members.peers()

    async def _error_of(self, peer: str) -> str:
        try:
            await self._sync_loop.sync(peer)
        except (CallFailed, PeerOffline, BadUpdate, OSError) as error:
            return str(error) or type(error).__name__
        return ""

    async def lags(self) -> list[MemberLag]:
        """Of every member, this node first: as far as is known here."""
        context = self._context
        us = context.local.peer
        newest = self._newest()
        found = [await self._lag(us, context.now(), context.replica.heads(), newest)]
        for peer in sorted(context.members.peers() - {us}):
            seen = context.progress.of(peer)
            if seen.whole:
                found.append(await self._lag(peer, seen.seen, seen.heads, newest))
            else:
                found.append(MemberLag(peer, None, (), self._forks(peer)))
        return found

    def behind(self) -> Mapping[str, int]:
        """By author: batches that other members are known to have and that are missing here."""
        heads = self._context.replica.heads()
        missing = Counter(dict.fromkeys(self._context.members.peers(), 0))
        for log, sequence in self._newest().items():
            missing[log.author] += max(0, sequence - heads.get(log, 0))
        return missing

    def forked_logs(self) -> int:
        """How many logs are known to hold two batches of one number."""
        return len(self._context.replica.forks)

    def uncontained_logs(self) -> int:
        """Of the forked ones, how many are in documents here still, while their pins are written again."""
        return len(self._context.replica.uncontained())

    def paused_logs(self) -> int:
        """How many logs stand still here, because their authors hold more than they may."""
        return len(self._context.pauses)

    def _forks(self, peer: str) -> tuple[int, ...]:
        forks = self._context.replica.forks
        return tuple(sorted(sequence for log, sequence in forks.items() if log.author == peer))

    def _newest(self) -> Mapping[AuthorLog, int]:
        """The last batch of every log that any member is known to have; of a forked one, before the fork."""
        newest = dict(self._context.replica.heads())
        for peer in self._context.members.peers():
            for log, sequence in self._context.progress.of(peer).heads.items():
                newest[log] = max(newest.get(log, 0), sequence)
        forks = self._context.replica.forks
        return {log: min(end, forks.get(log, end + 1) - 1) for log, end in newest.items()}

    async def _lag(
        self, peer: str, seen: float, heads: Mapping[AuthorLog, int], newest: Mapping[AuthorLog, int]
    ) -> MemberLag:
        missing: dict[str, list[tuple[AuthorLog, int]]] = {}
        for log, sequence in newest.items():
            if heads.get(log, 0) < sequence:
                missing.setdefault(log.author, []).append((log, sequence))
        behind = [
            AuthorLag(author, sum(end - heads.get(log, 0) for log, end in logs), await self._written(logs))
            for author, logs in sorted(missing.items())
        ]
        return MemberLag(peer, seen, tuple(behind), self._forks(peer))

    async def _written(self, ends: Sequence[tuple[AuthorLog, int]]) -> float | None:
        """When the newest of these batches was, of those that are here."""
        stamps = []
        for log, sequence in ends:
            for envelope in await self._context.store.batches([(log, sequence - 1)], 1):
                stamps.append(OpenedBatch.read(envelope).batch.stamp)
        return seconds(max(stamps)) if stamps else None
