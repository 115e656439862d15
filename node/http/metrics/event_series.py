"""Events, and who is told them."""

from __future__ import annotations

from node.events.event import EventKind
from node.http.metrics.series import Reading, Samples, counter, gauge
from node.parts import Parts

_EVENTS = counter("pinfold_events_total", "What happened here, as listeners are told", "type")
_LISTENERS = gauge("pinfold_event_listeners", "Connections that listen for events")
_POSTS = counter(
    "pinfold_webhook_posts_total", "Posts to webhooks, by their place in the setting", "webhook", "result"
)
_BEHIND = gauge("pinfold_webhook_behind_events", "Events that a webhook has not taken", "webhook")


def event_readings(parts: Parts) -> list[Reading]:
    posts: Samples = {}
    behind: Samples = {}
    for place, hook in enumerate(parts.webhooks, 1):
        posts[str(place), "taken"], posts[str(place), "failed"] = hook.counts.taken, hook.counts.failed
        behind[str(place),] = hook.behind
    return [
        _EVENTS.by({(kind.value,): parts.events.published[kind] for kind in EventKind}),
        _LISTENERS.now(parts.events.listeners),
        _POSTS.by(posts),
        _BEHIND.by(behind),
    ]
