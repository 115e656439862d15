"""Cuts the log: what every member has goes first, and what some member lacks when it has been kept for long.

A member that comes back after that starts from a snapshot. One that was removed does not count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from cluster.common.loops import steadily
from cluster.pinset.tables.log_store import NOTHING, LogSize, LogStore
from cluster.replication.context import ReplicationContext

INTERVAL = 300.0
"""Seconds between two looks at the log."""

_PAUSE = 0.05  # seconds between two steps: writes come first
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogRetention:
    """How much of the log stays when every member has it; for how many seconds when some member lacks it."""

    keep_bytes: int = 256 * 1024 * 1024
    keep_seconds: float = 30 * 86400.0


DEFAULT_RETENTION = LogRetention()


@dataclass(frozen=True, slots=True)
class KeptFor:
    """What stays of the log since that member is not known to have it."""

    peer: str
    size: LogSize


@dataclass(frozen=True, slots=True)
class CutReport:
    """What went so far, what is left, and, at the end, for whom."""

    cut: LogSize
    left: LogSize
    kept_for: tuple[KeptFor, ...] = ()


class LogCutter:
    """One at a time: `run` by itself, `cut` when it is asked to."""

    def __init__(self, context: ReplicationContext, store: LogStore, retention: LogRetention) -> None:
        self._context = context
        self._store = store
        self._retention = retention
        self._turn = asyncio.Lock()
        self._measured = 0, NOTHING  # an arrival, and the size of what is here up to it

    async def run(self) -> None:
        """Cuts what is above the retention, for as long as the pinset is open."""
        await steadily(self._context.guard, "cutting the log", "all members", self._cut_after_a_while)

    async def _cut_after_a_while(self) -> None:
        await asyncio.sleep(INTERVAL * self._context.local.chance.uniform(0.75, 1.25))
        try:
            await self._cut_to_retention()
        except OSError as error:
            _log.warning("the log cannot be cut now: %s", error)

    async def _cut_to_retention(self) -> None:
        cut = NOTHING
        async with aclosing(self.cut(self._retention.keep_bytes)) as steps:
            async for report in steps:
                cut = report.cut
                await asyncio.sleep(_PAUSE)
        if cut.batches:
            _log.info("%d batches of the log are cut, %d bytes", cut.batches, cut.bytes)

    async def cut(self, keep_bytes: int = 0) -> AsyncGenerator[CutReport]:
        """Cut down to that many bytes, as far as what members lack allows: how far it has come, step by step.

        The last report says for whom the rest is kept. Raises what the disk raises.
        """
        async with self._turn:
            reached = await self._members_reached()
            until = max(min(reached.values(), default=0), await self._aged())
            cut, left = NOTHING, await self._measure()
            while (excess := left.bytes - keep_bytes) > 0:
                step = await self._store.cut(until, excess)
                if step == NOTHING:
                    break
                cut, left = cut + step, left - step
                self._measured = self._measured[0], left
                yield CutReport(cut, left)
            kept = [await self._kept_for(peer, arrival) for peer, arrival in sorted(reached.items())]
        yield CutReport(cut, left, tuple(one for one in kept if one.size != NOTHING))

    async def _aged(self) -> int:
        return await self._store.mark(self._context.now(), self._retention.keep_seconds)

    async def _measure(self) -> LogSize:
        """The size of the log; only what came since the last time is counted."""
        last = await self._store.last_arrival()
        measured, size = self._measured
        size += await self._store.size(measured, last)
        self._measured = last, size
        return size

    async def _members_reached(self) -> dict[str, int]:
        """By member, ourselves included: the arrival up to which it is known to have all that is here."""
        context, known = self._context, await self._store.progress()
        reached = {context.local.peer: await self._store.last_arrival()}
        for peer in sorted(context.members.peers() - {context.local.peer}):
            reached[peer] = await self._reached(peer, known.get(peer, 0))
        context.progress.forget(context.progress.peers() - context.members.peers())
        await self._store.keep_progress(reached)
        return reached

    async def _reached(self, peer: str, known: int) -> int:
        seen = self._context.progress.of(peer)
        if not seen.whole:
            return known
        return await self._store.reached(seen.heads)

    async def _kept_for(self, peer: str, arrival: int) -> KeptFor:
        return KeptFor(peer, await self._store.size(arrival, self._measured[0]))
