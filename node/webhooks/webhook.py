"""One URL that events are posted to, from the buffer that listeners read: nothing waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientSession, ClientTimeout

from blockstore.common.backoff import Backoff
from node.events.event import EventKind
from node.events.feed import EventFeed, Gone
from node.webhooks.signature import HEADER, signature

MAX_EVENTS = 100
"""In one post."""

_POST_SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What is told to `url`: events of these kinds. `pauses` are those between tries."""

    url: str
    secret: str = field(repr=False)
    kinds: frozenset[EventKind]
    pauses: Backoff = field(default_factory=lambda: Backoff(1.0, 300.0))


@dataclass(slots=True)
class WebhookCounts:
    """Posts since the start."""

    taken: int = 0
    failed: int = 0


class Webhook:
    """`run` posts, event after event in their order, until cancelled."""

    def __init__(
        self,
        settings: WebhookSettings,
        feed: EventFeed,
        session: ClientSession,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` is the wall clock, in seconds since 1970."""
        self._settings = settings
        self._feed = feed
        self._session = session
        self._now = now
        self._after = feed.last
        self.counts = WebhookCounts()

    def __repr__(self) -> str:
        return f"<Webhook behind event {self._after}>"  # its URL may hold a secret

    @property
    def behind(self) -> int:
        """Events that it has not taken, of whatever kind."""
        return self._feed.last - self._after

    async def run(self) -> None:
        await self._deliver([self._feed.greeting(self._after)])
        while not self._feed.closed:
            await self._feed.wait(self._after)
            await self._tell_next()

    async def _tell_next(self) -> None:
        told: list[str] = []
        try:
            found = self._feed.read(self._after, MAX_EVENTS)
        except Gone as gone:
            told = [self._feed.loss(str(self._feed.id_of(self._after)))]
            self._after = gone.oldest - 1
            found = self._feed.read(self._after, MAX_EVENTS)
        told += [self._feed.text_of(event) for event in found if event.kind in self._settings.kinds]
        if told:
            await self._deliver(told)
        if found:
            self._after = found[-1].number

    async def _deliver(self, told: Sequence[str]) -> None:
        """Until they are taken."""
        body = f'{{"events":[{",".join(told)}]}}'.encode()
        for failures, pause in enumerate(self._settings.pauses):
            if not (reason := await self._refusal(body)):
                self.counts.taken += 1
                return
            self.counts.failed += 1
            level = logging.DEBUG if failures else logging.WARNING
            _log.log(level, "a webhook was not taken, and is tried again: %s", reason)
            await asyncio.sleep(pause)

    async def _refusal(self, body: bytes) -> str:
        """Why it was not taken; empty where it was (a status of 2xx)."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "pinfold",
            HEADER: signature(self._settings.secret, int(self._now()), body),
        }
        limit = ClientTimeout(total=_POST_SECONDS)
        try:
            async with self._session.post(
                self._settings.url, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                return "" if 200 <= response.status < 300 else f"status {response.status}"
        except (ClientError, OSError, TimeoutError) as error:
            return type(error).__name__
