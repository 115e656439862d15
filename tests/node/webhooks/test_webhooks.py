"""Webhooks against receivers that answer, fail, lag and disappear."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from support.node import running_node

from blockstore.block import Block
from blockstore.common.backoff import Backoff
from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from cluster.pin import Wish
from node.config import config as settings
from node.config.errors import BadConfig
from node.config.sections import Config, WebhooksConfig
from node.events.event import EventKind
from node.events.feed import EventFeed
from node.webhooks.signature import HEADER
from node.webhooks.webhook import MAX_EVENTS, Webhook, WebhookSettings
from node.webhooks.webhooks import open_webhooks

SECRET = "a secret of the operator's"


class Receiver:
    """Answers with each of `statuses`, then with 200, and keeps what it took."""

    def __init__(self, statuses: Sequence[int] = ()) -> None:
        self._statuses = list(statuses)
        self._came = asyncio.Condition()
        self.asked = 0
        self.events: list[dict[str, object]] = []
        self.url = ""

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        stamp, _, shown = request.headers[HEADER].removeprefix("t=").partition(",v1=")
        made = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert shown == made
        assert request.headers["Content-Type"] == "application/json"
        self.asked += 1
        status = self._statuses.pop(0) if self._statuses else 200
        if status == 200:
            async with self._came:
                self.events += json.loads(body)["events"]
                self._came.notify_all()
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def until(self, count: int) -> list[dict[str, object]]:
        """What came, once there are so many."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.events) >= count)
        return self.events

    async def subjects(self, count: int) -> list[object]:
        return [event.get("cid", event["type"]) for event in await self.until(count)]


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(statuses)
    app = web.Application()
    app.router.add_post("/hook", receiver.post)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiver
    finally:
        await runner.cleanup()


def publish(feed: EventFeed, *subjects: str, kind: EventKind = EventKind.PIN) -> None:
    feed.publish(kind, [(subject, {"cid": subject}) for subject in subjects])


@asynccontextmanager
async def hooked(
    receiver: Receiver, feed: EventFeed, kinds: frozenset[EventKind] = frozenset(EventKind)
) -> AsyncIterator[Webhook]:
    chosen = WebhookSettings(receiver.url, SECRET, kinds, Backoff(0.001, 0.01))
    async with ClientSession() as session:
        hook = Webhook(chosen, feed, session)
        async with background(hook.run()):
            yield hook


async def test_events_are_posted_signed_in_their_order_behind_a_greeting() -> None:
    feed = EventFeed()
    async with receiving() as receiver, hooked(receiver, feed):
        assert await receiver.subjects(1) == ["hello"]
        publish(feed, "a", "b")
        publish(feed, "c")
        assert await receiver.subjects(4) == ["hello", "a", "b", "c"]
        assert receiver.events[-1]["id"] == str(feed.id_of(3))


@pytest.mark.parametrize("status", [500, 404, 302, 410])
async def test_what_is_not_taken_is_posted_again_and_nothing_overtakes_it(status: int) -> None:
    feed = EventFeed()
    publish(feed, "before it listens")
    async with receiving(status, status, status) as receiver, hooked(receiver, feed) as hook:
        publish(feed, "a")
        publish(feed, "b")
        assert await receiver.subjects(3) == ["hello", "a", "b"]
        assert hook.counts.failed == 3


async def test_a_receiver_that_falls_behind_what_is_kept_is_told_so() -> None:
    feed = EventFeed(kept=5)
    async with receiving(*[503] * 20) as receiver, hooked(receiver, feed):
        for number in range(20):
            publish(feed, f"{number}")
        assert await receiver.subjects(7) == ["hello", "missed", "15", "16", "17", "18", "19"]
        assert receiver.events[1]["asked"] == str(feed.id_of(0))


async def test_a_post_is_bounded() -> None:
    feed = EventFeed()
    async with receiving() as receiver, hooked(receiver, feed):
        await receiver.until(1)
        publish(feed, *(f"{number}" for number in range(2 * MAX_EVENTS + 1)))
        await receiver.until(2 * MAX_EVENTS + 2)
        assert receiver.asked == 1 + 3


async def test_kinds_are_chosen() -> None:
    feed = EventFeed()
    async with receiving() as receiver, hooked(receiver, feed, frozenset((EventKind.MEMBER,))):
        publish(feed, "a pin")
        publish(feed, "a member", kind=EventKind.MEMBER)
        assert await receiver.subjects(2) == ["hello", "a member"]


async def test_a_receiver_that_is_not_there_keeps_no_other_from_hearing() -> None:
    feed, guard = EventFeed(), Guard()
    async with receiving() as receiver:
        urls = ("http://127.0.0.1:1/hook", receiver.url)
        async with open_webhooks(WebhooksConfig(urls, SECRET), feed, guard) as (absent, there):
            publish(feed, "a")
            assert await receiver.subjects(2) == ["hello", "a"]
            assert (absent.behind, there.counts.failed) == (1, 0)
            assert "127.0.0.1" not in repr(absent)
    assert guard.failures == 0


async def test_a_node_tells_its_webhooks_what_happens(tmp_path: Path) -> None:
    async with receiving() as receiver:
        config = replace(Config(), webhooks=WebhooksConfig((receiver.url,), SECRET, ("pin",)))
        async with running_node(tmp_path, config) as node:
            block = Block.of(b"told")
            await node.parts.blocks.put_many([block])
            await node.parts.add_service.pin_root(block.cid, Wish())
            assert await receiver.subjects(2) == ["hello", str(block.cid)]
            assert node.parts.guard.failures == 0


def test_urls_want_a_secret() -> None:
    with pytest.raises(BadConfig, match=r"webhooks\.secret"):
        settings.check(replace(Config(), webhooks=WebhooksConfig(("https://example.org/",))))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("webhooks.urls", "ftp://example.org/"),
        ("webhooks.urls", "https://example.org:99x/"),
        ("webhooks.urls", "https://example.org:99999/"),
        ("webhooks.urls", "https://example.org:0/"),
        ("webhooks.urls", "example.org"),
        ("webhooks.secret", "short"),
        ("webhooks.types", "pins"),
    ],
)
def test_what_is_no_webhook_is_refused(key: str, value: str) -> None:
    with pytest.raises(BadConfig, match=key):
        settings.with_setting(Config(), key, value)
