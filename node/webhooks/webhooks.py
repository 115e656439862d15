"""All webhooks of a node, for as long as it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientSession, DummyCookieJar

from blockstore.common.guard import Guard
from blockstore.common.tasks import open_guarded_tasks
from node.config.sections import WebhooksConfig
from node.events.event import EventKind
from node.events.feed import EventFeed
from node.webhooks.webhook import Webhook, WebhookSettings


@asynccontextmanager
async def open_webhooks(
    config: WebhooksConfig, feed: EventFeed, guard: Guard
) -> AsyncIterator[Sequence[Webhook]]:
    """Tell the URLs of the settings what happens in the block; in their order."""
    if not config.urls:
        yield ()
        return
    kinds = frozenset(map(EventKind, config.types)) or frozenset(EventKind)
    async with (
        ClientSession(cookie_jar=DummyCookieJar(), trust_env=False) as session,
        open_guarded_tasks(guard, "webhooks") as tasks,
    ):
        hooks = [Webhook(WebhookSettings(url, config.secret, kinds), feed, session) for url in config.urls]
        for hook in hooks:
            tasks.spawn(hook.run())
        yield hooks
