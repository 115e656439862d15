"""What all members say of the CIDs of a key range, by CID: a page of the list of statuses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.common.pin_glance import PinGlance
from cluster.interfaces import Member
from cluster.pin import PinInfo
from cluster.tracking.status_columns import StatusColumns

NO_INFOS: Mapping[bytes, PinInfo] = {}


@dataclass(frozen=True, slots=True)
class MemberStatuses:
    """One member's, by the bytes of the CID, each in one of the three: `pinned` has (since, blocks, bytes).

    `failed` is what is shown of one that does not answer any more, on the pins that it is to hold.
    """

    peer: str
    name: str
    pinned: Mapping[bytes, tuple[float, int, int]]
    remote: Mapping[bytes, float]
    others: Mapping[bytes, PinInfo]
    failed: PinInfo | None = None


@dataclass(frozen=True, slots=True)
class GlobalPage:
    """`keys` are CIDs in order that may be shown; those of which no member says anything are not.

    What is said of those that fail counts as something where `failures` are asked for.
    """

    keys: Sequence[bytes]
    pins: Mapping[bytes, PinGlance]
    members: Sequence[MemberStatuses]
    failures: bool


def answered(member: Member, columns: StatusColumns, until: bytes) -> MemberStatuses:
    """What it says of the CIDs up to there."""
    pinned, remote = columns.pinned, columns.remote
    counts = zip(pinned.since, pinned.blocks, pinned.sizes, strict=True)
    return MemberStatuses(
        member.peer,
        member.name,
        dict(zip(pinned.cids[: bisect_right(pinned.cids, until)], counts, strict=False)),
        dict(zip(remote.cids[: bisect_right(remote.cids, until)], remote.since, strict=False)),
        {key: row.info for row in columns.rows if (key := bytes(row.cid)) <= until},
    )


def failing(member: Member, info: PinInfo) -> MemberStatuses:
    return MemberStatuses(member.peer, member.name, {}, {}, NO_INFOS, info)


def mentioned(members: Iterable[MemberStatuses]) -> set[bytes]:
    """The CIDs of which some member says something."""
    return set().union(*(keys for one in members for keys in (one.pinned, one.remote, one.others)))
