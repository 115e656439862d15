"""What is logged for an operator: members that come and go, room on the disk that runs out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from blockstore.common.tasks import background
from blockstore.errors import BlockstoreError
from blockstore.store import Usage
from cluster.common.loops import steadily
from cluster.context import ClusterContext
from cluster.interfaces import Member
from node.log.rate_limit import SUBJECT

_LOOK_SECONDS = 5.0
_MEASURE_SECONDS = 15.0
_LOW = 0.1  # of the room: what is left when there is little

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MembersSeen:
    """The cluster at one moment: members by peer, and which of them give a sign of life."""

    members: dict[str, Member]
    live: frozenset[str]

    @classmethod
    def of(cls, members: Iterable[Member], live: Iterable[str]) -> MembersSeen:
        return cls({member.peer: member for member in members}, frozenset(live))


def member_changes(
    before: MembersSeen, after: MembersSeen, seen: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """What changed, as (peer, line). `seen` are those that were live at some time."""
    for peer, member in after.members.items():
        if peer not in before.members:
            yield peer, f"{_named(member)} joined the cluster ({member.role.value})"
        elif member.role is not before.members[peer].role:
            yield peer, f"{_named(member)} is {member.role.value} now"
        if peer in after.live and peer not in before.live:
            yield peer, f"{_named(member)} is {'back' if peer in seen else 'here'}"
        elif peer in before.live and peer not in after.live:
            yield peer, f"{_named(member)} is gone: it gives no sign of life"
    for peer in sorted(before.members.keys() - after.members.keys()):
        yield peer, f"{_named(before.members[peer])} is no member any more"


class RoomState(StrEnum):
    """Of the store. FULL: it reads, lets pins go and collects garbage, and takes nothing more."""

    ENOUGH = "ok"
    LOW = "low"
    FULL = "full"


def room_state(usage: Usage) -> RoomState:
    if usage.free <= 0:
        return RoomState.FULL
    whole = usage.quota or usage.bytes + usage.free
    return RoomState.LOW if usage.free < whole * _LOW else RoomState.ENOUGH


def room_warning(usage: Usage) -> str:
    """What is to be logged of the room on the disk; empty while there is enough."""
    state = room_state(usage)
    if state is RoomState.FULL:
        return "storage is full: nothing more is stored until pins are removed and `pinfold gc` is run"
    if state is RoomState.LOW:
        whole = usage.quota or usage.bytes + usage.free
        return f"storage is nearly full: {usage.free} of {whole} bytes are free"
    return ""


class MeasuredStore(Protocol):
    """The block store, as far as it is watched."""

    async def usage(self) -> Usage: ...


@asynccontextmanager
async def open_watch(
    context: ClusterContext,
    live: Callable[[], frozenset[str]],
    store: MeasuredStore,
    on_room: Callable[[], Awaitable[None]],
) -> AsyncIterator[None]:
    """Within the block what changes is logged. `live`: the members that give a sign of life.

    `on_room` is awaited when a store that was full has room again.
    """

    def observe() -> MembersSeen:
        others = [member for member in context.members.members() if member.peer != context.peer]
        return MembersSeen.of(others, live())

    members, room = _MembersWatch(observe), _RoomWatch(store, on_room)
    async with background(
        steadily(context.guard, "watching", "members", members.look),
        steadily(context.guard, "watching", "the disk", room.look),
    ):
        yield


class _MembersWatch:
    """Logs which members came and went between two looks."""

    def __init__(self, observe: Callable[[], MembersSeen]) -> None:
        self._observe = observe
        self._before = observe()
        self._seen: frozenset[str] = frozenset()

    async def look(self) -> None:
        await asyncio.sleep(_LOOK_SECONDS)
        before, after = self._before, self._observe()
        self._before = after
        for peer, line in member_changes(before, after, self._seen):
            _log.info("%s", line, extra={SUBJECT: peer})
        self._seen = self._seen & after.members.keys() | after.live


class _RoomWatch:
    """Logs that room runs out; each kind of warning once, until it is another."""

    def __init__(self, store: MeasuredStore, on_room: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._on_room = on_room
        self._before = ""
        self._was_full = False

    async def look(self) -> None:
        try:
            usage = await self._store.usage()
            said = room_warning(usage)
            await self._go_on(room_state(usage) is RoomState.FULL)
        except (BlockstoreError, OSError) as error:
            said = f"the store cannot be looked at: {error}"
        kind = said.partition(":")[0]
        if kind != self._before:
            (_log.warning if said else _log.info)("%s", said or "there is room on the disk again")
        self._before = kind
        await asyncio.sleep(_MEASURE_SECONDS)

    async def _go_on(self, is_full: bool) -> None:
        """What failed for want of room is tried again at once."""
        was_full, self._was_full = self._was_full, is_full
        if was_full and not is_full:
            await self._on_room()


def _named(member: Member) -> str:
    return f"{member.name} ({member.peer})" if member.name else member.peer
