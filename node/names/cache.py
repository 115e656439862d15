"""Answers kept for their time, then served stale for a while, while a fresh one is fetched behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

from blockstore.common.tasks import Tasks

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CachedAnswer(Generic[V]):
    """What a look-up found. Seconds: fresh for `ttl`, may be served for `stale` more.

    `passing` is trouble that may pass: an older answer that may still be served is kept over it.
    """

    value: V
    ttl: float
    stale: float = 0.0
    passing: bool = False


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    answer: CachedAnswer[V]
    stored: float

    def left(self, now: float) -> float:
        """Seconds of freshness; none when the clock was set back."""
        return max(0.0, self.stored + self.answer.ttl - now) if now >= self.stored else 0.0

    def servable(self, now: float) -> bool:
        return self.stored <= now < self.stored + self.answer.ttl + self.answer.stale


class Cache(Generic[K, V]):
    """The `size` answers that were asked for last. One look-up a key at a time; it outlives its waiters.

    `look_up` answers failures as values, and must end by itself.
    """

    def __init__(
        self,
        look_up: Callable[[K], Awaitable[CachedAnswer[V]]],
        tasks: Tasks,
        now: Callable[[], float],
        size: int,
    ) -> None:
        self._look_up = look_up
        self._tasks = tasks
        self._now = now
        self._entries: LRUCache[K, _Entry[V]] = LRUCache(size)
        self._running: dict[K, asyncio.Future[_Entry[V]]] = {}

    async def get(self, key: K) -> tuple[V, float]:
        """The answer and the seconds that it stays fresh."""
        entry = self._entries.get(key)
        if entry is None or not entry.servable(self._now()):
            entry = await asyncio.shield(self._refresh(key))
        elif not entry.left(self._now()):
            self._refresh(key)
        return entry.answer.value, entry.left(self._now())

    def forget(self, key: K) -> None:
        """The next one that asks is answered by a look-up that begins now, or later."""
        self._entries.pop(key, None)
        self._running.pop(key, None)

    def _refresh(self, key: K) -> asyncio.Future[_Entry[V]]:
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.get_running_loop().create_future()
            self._tasks.spawn(self._run(key, running))
        return running

    async def _run(self, key: K, result: asyncio.Future[_Entry[V]]) -> None:
        try:
            entry = _Entry(await self._look_up(key), self._now())
            if self._running.get(key) is result:
                self._keep(key, entry)
            result.set_result(entry)
        finally:
            result.cancel()  # where the look-up was cancelled; otherwise it has its result
            if self._running.get(key) is result:
                del self._running[key]

    def _keep(self, key: K, entry: _Entry[V]) -> None:
        before = self._entries.get(key)
        if entry.answer.passing and before is not None and before.servable(entry.stored):
            return
        self._entries[key] = entry
