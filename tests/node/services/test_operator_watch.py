"""What an operator is told of members that come and go, and of room that runs out."""

import asyncio

import pytest

from blockstore.common.guard import Guard
from blockstore.store import Usage
from cluster.interfaces import Member, Role
from node.services.operator_watch import Sight, open_watch, told_of_members, told_of_room

GB = 10**9


def sight(live=(), **roles):
    return Sight.of([Member(peer, peer.upper(), Role(role)) for peer, role in roles.items()], live)


NOBODY = sight()
B = sight(b="trusted")
HERE = sight(["b"], b="trusted")


@pytest.mark.parametrize(
    ("before", "after", "seen", "lines"),
    [
        (NOBODY, NOBODY, (), []),
        (NOBODY, B, (), ["B (b) joined the cluster (trusted)"]),
        (NOBODY, HERE, (), ["B (b) joined the cluster (trusted)", "B (b) is here"]),
        (B, HERE, (), ["B (b) is here"]),
        (B, HERE, ("b",), ["B (b) is back"]),
        (HERE, B, ("b",), ["B (b) is gone: it gives no sign of life"]),
        (HERE, HERE, ("b",), []),
        (HERE, NOBODY, ("b",), ["B (b) is no member any more"]),
        (B, sight(b="follower"), (), ["B (b) is follower now"]),
    ],
)
def test_members_that_come_and_go_are_told(before, after, seen, lines):
    told = list(told_of_members(before, after, frozenset(seen)))
    assert told == [("b", line) for line in lines]


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
def test_room_that_runs_out_is_told(usage, says):
    assert says in told_of_room(usage)
    assert bool(says) == bool(told_of_room(usage))


class Unsound:
    """A store, a cluster and a member list with a bug that nobody foresaw."""

    def __init__(self):
        self.looks = 0

    def members(self):
        return []

    def metrics(self, _name):
        return []

    async def usage(self):
        self.looks += 1
        raise KeyError("a bug")


async def test_a_bug_in_what_is_only_told_ends_nothing():
    unsound, guard = Unsound(), Guard()
    async with asyncio.timeout(30), open_watch("us", unsound, unsound, unsound, guard):
        while unsound.looks < 2:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.05)
    assert guard.failures == 2
