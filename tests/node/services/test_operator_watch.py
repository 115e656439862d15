"""What an operator is told of members that come and go, and of room that runs out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster

from blockstore.store import Usage
from cluster.interfaces import Member, Role
from node.services.operator_watch import MembersSeen, member_changes, open_watch, room_warning

GB = 10**9


def seen_now(live: Sequence[str] = (), **roles: str) -> MembersSeen:
    return MembersSeen.of([Member(peer, peer.upper(), Role(role)) for peer, role in roles.items()], live)


NO_MEMBERS = seen_now()
B = seen_now(b="trusted")
HERE = seen_now(["b"], b="trusted")


@pytest.mark.parametrize(
    ("before", "after", "seen", "lines"),
    [
        (NO_MEMBERS, NO_MEMBERS, (), []),
        (NO_MEMBERS, B, (), ["B (b) joined the cluster (trusted)"]),
        (NO_MEMBERS, HERE, (), ["B (b) joined the cluster (trusted)", "B (b) is here"]),
        (B, HERE, (), ["B (b) is here"]),
        (B, HERE, ("b",), ["B (b) is back"]),
        (HERE, B, ("b",), ["B (b) is gone: it gives no sign of life"]),
        (HERE, HERE, ("b",), []),
        (HERE, NO_MEMBERS, ("b",), ["B (b) is no member any more"]),
        (B, seen_now(b="follower"), (), ["B (b) is follower now"]),
    ],
)
def test_members_that_come_and_go_are_logged(
    before: MembersSeen, after: MembersSeen, seen: Sequence[str], lines: Sequence[str]
) -> None:
    changes = list(member_changes(before, after, frozenset(seen)))
    assert changes == [("b", line) for line in lines]


@pytest.mark.parametrize(
    ("usage", "says"),
    [
        (Usage(1, 5 * GB, 10 * GB, 5 * GB), ""),
        (Usage(1, 95 * GB // 10, 10 * GB, GB // 2), "nearly full: 500000000 of 10000000000 bytes are free"),
        (Usage(1, 10 * GB, 10 * GB, 0), "storage is full"),
        (Usage(1, 95 * GB, 0, 5 * GB), "nearly full"),
        (Usage(0, 0, 0, 5 * GB), ""),
    ],
)
def test_room_that_runs_out_is_told(usage: Usage, says: str) -> None:
    assert says in room_warning(usage)
    assert bool(says) == bool(room_warning(usage))


async def nothing() -> None:
    """What goes on when there is room again: nothing."""


class Unsound:
    """A store with a bug that nothing expects."""

    def __init__(self) -> None:
        self.looks = 0

    async def usage(self) -> Usage:
        self.looks += 1
        raise KeyError("a bug")


async def test_a_bug_in_what_is_only_told_ends_nothing() -> None:
    unsound, context = Unsound(), MemoryCluster(1).context(0)
    async with asyncio.timeout(30), open_watch(context, frozenset, unsound, nothing):
        while unsound.looks < 2:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.05)
    assert context.guard.failures == 2


class Filling:
    """A store that is full until somebody makes room."""

    def __init__(self) -> None:
        self.free = 0

    async def usage(self) -> Usage:
        return Usage(1, 100, 100, self.free)


@virtual_time
async def test_what_failed_for_want_of_room_is_tried_again_once_there_is_some(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    filling, tried = Filling(), asyncio.Event()
    count = 0

    async def on_room() -> None:
        nonlocal count
        count += 1
        tried.set()

    async with open_watch(MemoryCluster(1).context(0), frozenset, filling, on_room):
        await asyncio.sleep(60)
        assert (count, caplog.text.count("storage is full")) == (0, 1)
        filling.free = 50
        async with asyncio.timeout(30):
            await tried.wait()
        await asyncio.sleep(60)
        assert count == 1
        assert "there is room on the disk again" in caplog.text
