"""A request for a pin, and which requests are wanted (Pinning Service API 1.0: Pin, and GET /pins)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from blockstore.cid import CID

MAX_LISTED = 1000
"""Requests in one answer."""


@dataclass(frozen=True, slots=True)
class WantedPin:
    """What is asked for: `name` and `meta` are the request's own, `origins` multiaddresses with /p2p/."""

    cid: CID
    name: str = ""
    origins: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PinRequest:
    """One that was taken. `created`: milliseconds since 1970; no two requests of a node have the same."""

    id: str
    owner: str
    created: int
    wanted: WantedPin


class RequestStatus(StrEnum):
    """The words of the specification."""

    QUEUED = "queued"
    PINNING = "pinning"
    PINNED = "pinned"
    FAILED = "failed"


EVERY_REQUEST = frozenset(RequestStatus)


class NameMatch(StrEnum):
    """How a name is looked for; `i…` takes small and capital letters as the same."""

    EXACT = "exact"
    IEXACT = "iexact"
    PARTIAL = "partial"
    IPARTIAL = "ipartial"


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """Requests of an owner, newest first; every condition given must hold.

    `before` and `after`: made earlier, later than that, in milliseconds since 1970.
    """

    owner: str
    cids: tuple[CID, ...] = ()
    name: str = ""
    match: NameMatch = NameMatch.EXACT
    before: float | None = None
    after: float | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    statuses: frozenset[RequestStatus] = EVERY_REQUEST
    limit: int = 10


@dataclass(frozen=True, slots=True)
class ToldRequest:
    """A request and how it is. `details`: why it failed, or how far it is; `delegates`: nodes of holders."""

    request: PinRequest
    status: RequestStatus
    details: str = ""
    delegates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToldRequests:
    """At most `limit` of all that fit; `count` says how many those are."""

    count: int
    told: tuple[ToldRequest, ...]
