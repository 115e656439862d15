"""One thing that happened, as a value, and the name under which a listener goes on behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

Fact = str | int | float | bool | None
Facts = Mapping[str, Fact]

MAX_TEXT = 2048
"""Characters of a fact that is text; what is longer ends there."""

_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")


class EventKind(StrEnum):
    """What it is about."""

    PIN = "pin"
    STATUS = "status"
    MEMBER = "member"
    ALERT = "alert"
    JOB = "job"


class BadEventId(ValueError):
    """An id that no node has given."""


@dataclass(frozen=True, slots=True)
class EventId:
    """`start` is when the program began, in milliseconds since 1970: ids of another run are told apart."""

    start: int
    number: int

    def __str__(self) -> str:
        return f"{self.start}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> EventId:
        """Raises BadEventId."""
        found = _ID.fullmatch(text)
        if found is None:
            raise BadEventId(f'"{text[:64]}" is no id of an event')
        return cls(int(found[1]), int(found[2]))


class Event(NamedTuple):
    """`subject` is what it is about: a CID, or a member's peer id. `at` in seconds since 1970."""

    number: int
    kind: EventKind
    at: float
    subject: str
    facts: Facts

    def text(self, event_id: EventId) -> str:
        """As JSON, on one line. Made when it is asked for: most events leave the buffer unread."""
        facts = {name: _bounded(value) for name, value in self.facts.items()}
        told = {"id": str(event_id), "type": self.kind.value, "at": self.at, **facts}
        return json.dumps(told, separators=(",", ":"))


def _bounded(value: Fact) -> Fact:
    return value[:MAX_TEXT] if isinstance(value, str) else value
