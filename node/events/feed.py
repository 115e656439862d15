"""The last events, by number: a listener reads them from its place on, at its own pace.

Nothing waits for a listener. What has left the buffer is gone, and a listener that was behind is told so.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from cachetools import LRUCache

from node.events.event import Event, EventId, EventKind, Facts

KEPT = 8192
"""Events in memory: some hundred bytes each."""

_TEXTS = 512  # of the events that listeners read lately

MAX_LISTENERS = 1000


class TooManyListeners(Exception):
    """No more may listen for now."""


class Gone(Exception):
    """Events behind that place are not kept any more; `oldest` is the first that is."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest event that is kept is {oldest}")
        self.oldest = oldest


class EventFeed:
    """Numbers begin with 1. `start` tells this run from others."""

    def __init__(self, now: Callable[[], float] = time.time, kept: int = KEPT) -> None:
        """`now` is the wall clock, in seconds since 1970."""
        self._now = now
        self._events: deque[Event] = deque(maxlen=kept)
        self._texts: LRUCache[int, str] = LRUCache(_TEXTS)
        self._last = 0
        self._news = asyncio.Event()  # replaced each time it is set
        self.start = int(now() * 1000)
        self.closed = False
        self.listeners = 0
        self.published: Counter[EventKind] = Counter()

    @property
    def last(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._last

    @property
    def oldest(self) -> int:
        """Of the events that are kept; where there are none, of the next one."""
        return self._last - len(self._events) + 1

    def id_of(self, number: int) -> EventId:
        return EventId(self.start, number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For the length of a listener's stay. Raises TooManyListeners."""
        if self.listeners >= MAX_LISTENERS:
            raise TooManyListeners(f"{MAX_LISTENERS} listeners are connected already: try again later")
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1

    def text_of(self, event: Event) -> str:
        """The event as JSON, its id first: put into words once for all listeners that are near it."""
        if (text := self._texts.get(event.number)) is None:
            text = self._texts[event.number] = event.text(self.id_of(event.number))
        return text

    def greeting(self, number: int) -> str:
        """What a listener is told that begins behind that number."""
        return self._said(number, "hello", {})

    def loss(self, asked: str) -> str:
        """What a listener is told that asked for the events behind an id, of which some are gone."""
        return self._said(self.oldest - 1, "missed", {"asked": asked})

    def _said(self, number: int, kind: str, facts: Facts) -> str:
        told = {"id": str(self.id_of(number)), "type": kind, **facts, "oldest": str(self.id_of(self.oldest))}
        return json.dumps(told, separators=(",", ":"))

    def publish(self, kind: EventKind, found: Iterable[tuple[str, Facts]]) -> None:
        """Events of that kind, each with its subject, together. Never waits."""
        at = round(self._now(), 3)
        for subject, facts in found:
            self._last += 1
            self._events.append(Event(self._last, kind, at, subject, facts))
            self.published[kind] += 1
        self._ring()

    def read(self, after: int, limit: int = 256) -> Sequence[Event]:
        """The next events behind that number, none where it is the newest. Raises Gone."""
        if after + 1 < self.oldest:
            raise Gone(self.oldest)
        first = after + 1 - self.oldest
        # by place: who follows is at the end of the deque, which an iterator reaches over all that is kept
        return [self._events[place] for place in range(first, min(first + limit, len(self._events)))]

    async def wait(self, after: int) -> None:
        """Return when there is an event behind that number, or the feed is closed."""
        while self._last <= after and not self.closed:
            await self._news.wait()

    def close(self) -> None:
        """The node ends: so do those who wait."""
        self.closed = True
        self._ring()

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
