"""The node's events as they come; a connection that breaks is made again, and goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from node.cli.api.client import ApiClient, Query
from node.cli.api.errors import DaemonLost, NoDaemon
from node.cli.api.response import ApiResponse, parse_object

_PAUSES = (0.2, 1.0, 2.0, 5.0)  # before each try to connect again; the last one from then on


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """`id` is the place behind which a later call goes on."""

    id: str
    facts: ApiResponse

    @property
    def kind(self) -> str:
        return self.facts.text("type")


def listen(
    api: ApiClient, query: Query, since: str = "", on_lost: Callable[[str], None] = lambda reason: None
) -> Iterator[HeardEvent]:
    """All events that the query chooses, without an end; `on_lost` hears why it connects again.

    Raises NoDaemon when nothing answers at first, and ApiError.
    """
    failures, once = 0, False
    while True:
        place = [("since", since)] if since else []
        try:
            for heard in parse_events(api.download("GET", "/v1/events", [*query, *place])):
                failures, once, since = 0, True, heard.id
                yield heard
            reason = "the node ended the connection"
        except (DaemonLost, NoDaemon) as error:
            if not once:
                raise
            reason = str(error)
        on_lost(reason)
        time.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
        failures += 1


def parse_events(parts: Iterable[bytes]) -> Iterator[HeardEvent]:
    """Server-sent events with an id and an object, as the node sends them. Raises ApiError."""
    rest = b""
    for part in parts:
        *blocks, rest = (rest + part).split(b"\n\n")
        for block in blocks:
            fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
            if b"data" in fields:
                yield HeardEvent(fields.get(b"id", b"").decode(), parse_object(fields[b"data"]))
