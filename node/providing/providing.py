"""Providing as the rest of the node sees it: what it has to tell is handed in, how it stands is read."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from cluster.common.loops import steadily
from node.providing.announcer import Announcer
from node.providing.content import ProvidedContent
from node.providing.figures import ProvideStanding
from node.providing.fresh import FreshRoots
from node.providing.region import SPACE
from node.providing.schedule_store import Cycle, DueName, ScheduleDatabase, ScheduleStore, open_schedule
from node.providing.sweep import PERIOD, Sweep, due_at
from node.routing.dht import Dht
from node.routing.kad.keys import BITS

_SHOWN_BITS = 16


@dataclass(frozen=True, slots=True)
class ProvidePart:
    """One DHT: who tells it, and when."""

    dht: str
    announcer: Announcer
    store: ScheduleStore
    sweep: Sweep


class Providing:
    """Made by `open_providing`."""

    def __init__(
        self, parts: Sequence[ProvidePart], content: ProvidedContent, now: Callable[[], float] = time.time
    ) -> None:
        self._parts = tuple(parts)
        self._now = now
        self.began = now()
        self.fresh = FreshRoots(
            [part.announcer for part in parts], content.ours, self._schedule, self._begin_again
        )

    def completed(self, cids: Iterable[CID]) -> None:
        """These roots are whole now, and told at once. Never waits."""
        self.fresh.completed(cids)

    async def standing(self) -> list[ProvideStanding]:
        """Of each DHT."""
        return [await self._standing(part) for part in self._parts]

    async def _standing(self, part: ProvidePart) -> ProvideStanding:
        cycle = await part.store.cycle() or Cycle("", 0.0, hurried=True, cursor=None)
        following = next(iter(await part.store.names(cycle.cursor or 0, SPACE, 1)), None)
        due = 0 if cycle.cursor is None else await part.store.count(cycle.cursor)
        return ProvideStanding(
            dht=part.dht,
            online=part.announcer.ready,
            since=self.began,
            waiting=len(self.fresh),
            names=await part.store.count(),
            due=due,
            cycle_began=cycle.began,
            next_at=_next_at(cycle, following),
            next_prefix=_prefix(following),
            hurried=cycle.hurried,
            figures=part.announcer.figures,
        )

    async def _schedule(self, cids: Sequence[CID]) -> None:
        for part in self._parts:
            await part.store.add(cids)

    def _begin_again(self) -> None:
        for part in self._parts:
            part.sweep.begin_again()


@asynccontextmanager
async def open_providing(
    dht: Dht,
    path: Path,
    content: ProvidedContent,
    strategy: str,
    guard: Guard,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Providing]:
    """`path`: the file of what is due. Raises StoreCorrupt, StoreUnavailable."""
    async with (
        open_schedule(path) as database,
        running_providing(dht, database, content, strategy, guard, now) as providing,
    ):
        yield providing


@asynccontextmanager
async def running_providing(
    dht: Dht,
    database: ScheduleDatabase,
    content: ProvidedContent,
    strategy: str,
    guard: Guard,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Providing]:
    """As `open_providing`, over a file that is open."""
    parts = []
    for one in dht.parts:
        announcer, store = Announcer(one.client), ScheduleStore(database, one.kind.protocol)
        sweep = Sweep(announcer, store, content, strategy, now)
        parts.append(ProvidePart(one.kind.name, announcer, store, sweep))
    providing = Providing(parts, content, now)
    sweeps = (steadily(guard, "providing again", part.dht, part.sweep.turn) for part in parts)
    async with background(steadily(guard, "providing new roots", "the DHT", providing.fresh.turn), *sweeps):
        yield providing


def _next_at(cycle: Cycle, following: DueName | None) -> float:
    if cycle.cursor is None:
        return cycle.began + PERIOD if cycle.began else 0.0
    return due_at(cycle, following.key) if following is not None else 0.0


def _prefix(following: DueName | None) -> str:
    return "" if following is None else f"{following.key >> (BITS - _SHOWN_BITS):0{_SHOWN_BITS}b}"
