"""The pinset as the rest of the cluster sees it: reading and writing apart, and who the members are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from blockstore.cid import CID
from cluster.errors import BadUpdate, ClusterError
from cluster.pin import KeyRange, Pin


class PinOrder(StrEnum):
    """What a listing goes by; pins of which that is equal are in order of the CID's bytes."""

    CID = "cid"
    NAME = "name"
    CREATED = "created"
    EXPIRY = "expiry"  # pins without an end are not listed


@dataclass(frozen=True, slots=True)
class PinQuery:
    """Which pins, answered from indexes. Every condition given must hold.

    Times are seconds since 1970: `…_after` is that one or later, `…_before` is earlier than that; of the time
    of making whole seconds count. Without an `order` pages come as is cheapest.
    """

    after: CID | None = None  # in order of the CID's bytes, exclusive
    name: str | None = None  # exactly that name; "" = pins without one
    name_prefix: str = ""
    name_contains: str = ""
    held_by: str | None = None  # allocated to that member, or everywhere
    allocated_to: str | None = None  # that member alone: not what is everywhere
    expires_after: float | None = None  # pins without an end match no condition on it
    expires_before: float | None = None
    created_after: float | None = None
    created_before: float | None = None
    metadata: tuple[tuple[str, str], ...] = ()  # every key with exactly that value
    metadata_keys: tuple[str, ...] = ()  # every key, whatever its value
    order: PinOrder | None = None


EVERY_PIN = PinQuery()


@dataclass(frozen=True, slots=True)
class StoredPins:
    """Pins of a key range as they are stored, in order: `values[i]` says the pin of `cids[i]` (pin_codec).

    They are all there are up to `until`.
    """

    cids: Sequence[bytes]
    values: Sequence[bytes]
    until: bytes


@dataclass(frozen=True, slots=True)
class PinPage:
    """The next pins of a listing. It may hold few or none and not be the last: the work for one is bounded.

    `cursor` is where the next one begins, None behind the last; it stays good while pins come and go. `odd`
    are the errors of rows that cannot be read, which hide no others.
    """

    pins: tuple[Pin, ...]
    cursor: str | None
    odd: tuple[BadUpdate, ...] = ()


class PinChange(NamedTuple):
    """One CID whose pin is now this; None when it was removed.

    `before` is the pin that there was, as it is stored (pin_codec), None where there was none. `author` is
    the member that changed it, empty where that is not known: documents that were joined, or made again.
    """

    cid: CID
    pin: Pin | None
    before: bytes | None = None
    author: str = ""


class PinsetReader(Protocol):
    """The pins that this member knows; a CID of another version or codec is another pin."""

    async def get(self, cid: CID) -> Pin | None:
        """The pin of exactly that CID."""
        ...

    async def get_many(self, cids: Sequence[CID]) -> list[Pin | None]:
        """In order of `cids`."""
        ...

    def pins(self, query: PinQuery = EVERY_PIN) -> AsyncIterator[Pin]:
        """In order of the CID's bytes unless the query has another; read in pages, never whole in memory."""
        ...

    async def page(self, query: PinQuery, cursor: str | None = None, limit: int = 1000) -> PinPage:
        """At most `limit` pins behind that cursor of the same query. Raises BadCursor, NotReady."""
        ...

    async def stored(self, keys: KeyRange, limit: int) -> StoredPins:
        """Those of the range, at most `limit` of them, and at most about a MiB where there is more than one.

        Raises BadUpdate where they are not in order.
        """
        ...

    async def count(self, query: PinQuery = EVERY_PIN) -> int:
        """How many `pins` would give."""
        ...

    async def was_removed(self, cid: CID) -> bool:
        """Whether it is known that a member removed this pin, and that none made it again.

        A CID of which that is not known may be missing because a file was lost, damaged or put back.
        """
        ...

    async def were_removed(self, cids: Sequence[CID]) -> list[bool]:
        """`was_removed` of each, in order."""
        ...

    def on_changes(self, handler: Callable[[Sequence[PinChange]], None]) -> None:
        """Hear of all changes after they are durable, our own and others', many at once. Must not block.

        Each handler hears of each change of a CID in order.
        """
        ...


class PinsetWriter(Protocol):
    def check_writable(self) -> None:
        """What `put` and `remove` check first. Raises ReadOnlyMember, with what to do instead."""
        ...

    async def put(self, pin: Pin) -> None:
        """Add or replace; returns when it is durable here. Raises ReadOnlyMember."""
        ...

    async def put_many(self, pins: Sequence[Pin]) -> list[ClusterError | None]:
        """`put`, in order and durable together, in one batch where they fit. What kept one from being put.

        Raises ReadOnlyMember for all of them.
        """
        ...

    async def put_new_many(self, pins: Sequence[Pin]) -> list[ClusterError | Pin | None]:
        """`put_many` of those whose CIDs are not pinned; a pin that is there stays, and is given.

        Raises ReadOnlyMember for all of them.
        """
        ...

    async def remove(self, cid: CID) -> Pin:
        """The pin as it was; returns when its removal is durable here. Raises NotPinned, ReadOnlyMember."""
        ...

    async def remove_many(self, cids: Sequence[CID]) -> list[Pin | ClusterError]:
        """`remove`, in order and durable together; NotPinned in place of a pin where there was none.

        Raises ReadOnlyMember for all of them.
        """
        ...


class Pinset(PinsetReader, PinsetWriter, Protocol):
    """Both."""


class Role(StrEnum):
    """What a member may do: a trusted one writes pins and members, a follower only holds blocks."""

    TRUSTED = "trusted"
    FOLLOWER = "follower"


class Duty(StrEnum):
    """What a member is to do about pins that name their holders."""

    OPEN = "open"  # what it holds it keeps, and it takes new ones
    HELD = "held"  # the same, and while it is away no other one takes them
    DRAIN = "drain"  # it takes no new ones, and those that it holds go to others
    DRAIN_HELD = "drain-held"  # it takes no new ones, and those that it holds wait

    @property
    def is_drained(self) -> bool:
        return self in (Duty.DRAIN, Duty.DRAIN_HELD)

    @property
    def is_held(self) -> bool:
        return self in (Duty.HELD, Duty.DRAIN_HELD)


@dataclass(frozen=True, slots=True)
class Member:
    peer: str
    name: str
    role: Role
    addresses: tuple[str, ...] = ()  # multiaddresses on the cluster's network, as last announced
    bulk: tuple[str, ...] = ()  # and those where it offers blocks in bulk


class Membership(Protocol):
    """Who belongs to the cluster, as this member knows it."""

    def members(self) -> tuple[Member, ...]:
        """Every member, ourselves included, in order of peer id."""
        ...

    def peers(self) -> frozenset[str]:
        """The peer ids of `members`."""
        ...

    def role(self, peer: str) -> Role | None:
        """What that peer may do; None for one that is no member (any more)."""
        ...

    def is_trusted(self, peer: str) -> bool:
        """Whether that peer is a member that may write."""
        ...

    def is_member(self, peer: str) -> bool:
        """Whether that peer has a role."""
        ...

    def removed(self) -> frozenset[str]:
        """Those that were members and are none any more."""
        ...

    def name(self, peer: str) -> str:
        """What a peer, member or not (any more), last called itself; may be empty."""
        ...

    def duty(self, peer: str) -> Duty:
        """What that member is to do; OPEN for one of which nothing was said since it became one."""
        ...

    def drained(self) -> frozenset[str]:
        """Members that take no new pins."""
        ...

    async def set_duty(self, peer: str, duty: Duty) -> None:
        """Have all members know; returns when it is durable here.

        Raises UntrustedPeer for a peer that is no member, ReadOnlyMember where we are not trusted.
        """
        ...

    async def remove(self, peer: str) -> None:
        """That peer is no member any more; what it pinned stays.

        Raises UntrustedPeer for a peer that is no member, ReadOnlyMember where we are not trusted (and the
        peer is not ourselves), CannotRemove for the last trusted member.
        """
        ...
