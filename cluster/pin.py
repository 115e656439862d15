"""The values that members agree on: frozen, with one canonical wire form.

Those that are made for every pin written are named tuples: a fifth of a frozen dataclass's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from blockstore.cid import CID

EVERYWHERE = -1


_NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The CIDs behind `after` up to `until`, by their bytes, as all lists of pins are ordered."""

    after: bytes = b""
    until: bytes = b"\xff"  # behind every CID: their first byte is 1 or 18

    def cut(self, until: bytes) -> KeyRange:
        """The part that ends there at the latest."""
        return KeyRange(self.after, min(until, self.until))


class PinMode(StrEnum):
    RECURSIVE = "recursive"
    DIRECT = "direct"


class Status(StrEnum):
    """What one member says of one pin (ipfs-cluster's tracker statuses, by its names)."""

    CLUSTER_ERROR = "cluster_error"
    PIN_ERROR = "pin_error"
    UNPIN_ERROR = "unpin_error"
    PINNED = "pinned"
    PINNING = "pinning"
    UNPINNING = "unpinning"
    UNPINNED = "unpinned"
    REMOTE = "remote"
    PIN_QUEUED = "pin_queued"
    UNPIN_QUEUED = "unpin_queued"
    UNEXPECTEDLY_UNPINNED = "unexpectedly_unpinned"


class PinOptions(NamedTuple):
    """What a user may ask of a pin. Replication 0 = the cluster's default, -1 = every member.

    `max_size`, `deadline` and `attempts` are its limits: docs/decisions/0017-limits-of-a-pin.md.
    """

    name: str = ""
    mode: PinMode = PinMode.RECURSIVE
    replication_min: int = 0
    replication_max: int = 0
    user_allocations: tuple[str, ...] = ()
    expire_at: float | None = None  # seconds since 1970
    metadata: Mapping[str, str] = _NO_METADATA
    pin_update: CID | None = None
    origins: tuple[str, ...] = ()  # multiaddresses with /p2p/
    shard_size: int = 0  # bytes; clients of ipfs-cluster send it, and nothing is sharded here
    max_size: int = 0  # bytes; a DAG that is larger is not pinned. 0 = any size
    deadline: int = 0  # seconds since 1970, when members that do not have it stop trying. 0 = never
    attempts: int = 0  # after so many that failed a member stops trying. 0 = never


class Wish(NamedTuple):
    """Options that a client asks for, and which of them it named: where a pin exists the others stay.

    `named` are fields of PinOptions; None = all of them: the pin is to be exactly so. With named options an
    end never comes sooner than it would (for ever is the latest), unless `shorten` says so. `owner` is for
    whom the pin is to be kept, empty = the cluster itself; `requests_at` the member that keeps the request
    for it, where it comes from one.
    """

    options: PinOptions = PinOptions()
    named: frozenset[str] | None = None
    shorten: bool = False
    owner: str = ""
    requests_at: str = ""


class Pin(NamedTuple):
    """One CID of the pinset. Empty allocations with replication -1 mean every member."""

    cid: CID
    options: PinOptions
    allocations: tuple[str, ...]
    created: float  # seconds since 1970
    size: int = 0  # bytes of the DAG where the writer knew it, for size-aware allocation

    @property
    def everywhere(self) -> bool:
        return self.options.replication_max == EVERYWHERE

    def held_by(self, peer: str) -> bool:
        """Whether that member is to hold this pin."""
        return self.everywhere or peer in self.allocations


class GrantAsk(NamedTuple):
    """A wish for one CID. `priority_peers` hold the data already; `size` is the DAG's bytes, 0 = unknown."""

    cid: CID
    wish: Wish = Wish()
    priority_peers: tuple[str, ...] = ()
    size: int = 0
    created: float | None = None  # of a pin that is moved in, whose `pin_update` is its past and no wish


class GrantResult(NamedTuple):
    """What came of a wish: the pin as it is now, and as it was before (None: there was none)."""

    pin: Pin
    before: Pin | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a walk has come: blocks and bytes held, blocks known but not fetched yet.

    `remaining` bytes are to come, as far as that is known; `rate` is of the bytes a second lately.
    """

    blocks: int
    bytes: int
    pending: int
    remaining: int | None = None
    rate: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """As long as it goes on as lately; None where that cannot be said."""
        return self.remaining / self.rate if self.remaining is not None and self.rate >= 1 else None


@dataclass(frozen=True, slots=True)
class PinInfo:
    """One member's answer about one pin. `error` is a plain reason; `retry_at` when it tries again."""

    peer: str
    peer_name: str
    status: Status
    since: float
    error: str = ""
    attempts: int = 0
    priority: bool = False
    progress: Progress | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class GlobalPinInfo:
    """What every member asked says of one pin. `pin` is None when the CID is not in the pinset."""

    cid: CID
    pin: Pin | None
    peers: Mapping[str, PinInfo]
