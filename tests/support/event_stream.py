"""A listener of /v1/events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from node.node import Node


@dataclass(frozen=True)
class Heard:
    id: str
    kind: str
    facts: Mapping[str, object]

    def says(self, **facts: object) -> bool:
        return all(self.facts.get(name) == value for name, value in facts.items())


class EventStream:
    """Reads one answer, event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Heard:
        fields: dict[str, str] = {}
        while line := (await self.response.content.readline()).decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if value:
                fields[name] = value
            elif fields:
                return Heard(fields["id"], fields["event"], json.loads(fields["data"]))
        raise EOFError

    async def until(self, **facts: object) -> Heard:
        """The next event that says that."""
        while not (heard := await self.next()).says(**facts):
            pass
        return heard


@asynccontextmanager
async def listening(
    node: Node, search: str = "", headers: Mapping[str, str] | None = None
) -> AsyncIterator[EventStream]:
    """As a client that asks for events with that query string."""
    url = f"{node.faces.api.url}/v1/events{search}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.status == 200, await response.text()
        yield EventStream(response)
