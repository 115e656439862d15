"""What an operator is told of the cluster and of the disk: members that come and go, room that runs out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blockstore.errors import BlockstoreError
from blockstore.sqlite import SqliteBlockstore
from blockstore.store import Usage
from blockstore.tasks import background
from cluster.cluster import Cluster
from cluster.metrics import PING
from cluster.state import Member, Membership

_LOOK_SECONDS = 5.0
_MEASURE_SECONDS = 15.0
_LOW = 0.1  # of the room: what is left when there is little

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """The cluster at one moment: members by peer, and which of them give a sign of life."""

    members: dict[str, Member]
    live: frozenset[str]

    @classmethod
    def of(cls, members: Iterable[Member], live: Iterable[str]) -> Sight:
        return cls({member.peer: member for member in members}, frozenset(live))


def told_of_members(before: Sight, after: Sight, seen: frozenset[str]) -> list[str]:
    """What changed, a line each. `seen` are those that were live at some time."""
    lines: list[str] = []
    for peer, member in after.members.items():
        if peer not in before.members:
            lines.append(f"{_named(member)} joined the cluster ({member.role.value})")
        elif member.role is not before.members[peer].role:
            lines.append(f"{_named(member)} is {member.role.value} now")
        if peer in after.live and peer not in before.live:
            lines.append(f"{_named(member)} is {'back' if peer in seen else 'here'}")
        elif peer in before.live and peer not in after.live:
            lines.append(f"{_named(member)} is gone: it gives no sign of life")
    gone = before.members.keys() - after.members.keys()
    return lines + [f"{_named(before.members[peer])} is no member any more" for peer in sorted(gone)]


def told_of_room(usage: Usage) -> str:
    """What is to be said of the room on the disk; empty while there is enough."""
    if usage.free <= 0:
        return "storage is full: nothing more is stored until pins are removed and `pinfold gc` is run"
    whole = usage.quota or usage.bytes + usage.free
    if usage.free < whole * _LOW:
        return f"storage is nearly full: {usage.free} of {whole} bytes are free"
    return ""


@asynccontextmanager
async def open_watch(
    us: str, cluster: Cluster, membership: Membership, store: SqliteBlockstore
) -> AsyncIterator[None]:
    """Within the block what changes is told in the log."""

    def sight() -> Sight:
        others = [member for member in membership.members() if member.peer != us]
        return Sight.of(others, (metric.peer for metric in cluster.metrics(PING)))

    async with background(_watch_members(sight), _watch_room(store)):
        yield


async def _watch_members(sight: Callable[[], Sight]) -> None:
    before = sight()
    seen: frozenset[str] = frozenset()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        after = sight()
        for line in told_of_members(before, after, seen):
            _log.info("%s", line)
        before, seen = after, seen & after.members.keys() | after.live


async def _watch_room(store: SqliteBlockstore) -> None:
    """The kind of what is said is told once, until it is another."""
    before = ""
    while True:
        try:
            said = told_of_room(await store.usage())
        except (BlockstoreError, OSError) as error:
            said = f"the store cannot be looked at: {error}"
        kind = said.partition(":")[0]
        if kind != before:
            (_log.warning if said else _log.info)("%s", said or "there is room on the disk again")
        before = kind
        await asyncio.sleep(_MEASURE_SECONDS)


def _named(member: Member) -> str:
    return f"{member.name} ({member.peer})" if member.name else member.peer
