"""One thing that happened, as a value, and the name under which a listener goes on behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Fact = str | int | float | bool | None
Facts = Mapping[str, Fact]

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


@dataclass(frozen=True, slots=True)
class Event:
    """`subject` is what it is about: a CID, or a member's peer id. `text` is JSON, on one line."""

    number: int
    kind: EventKind
    subject: str
    text: str
