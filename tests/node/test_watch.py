"""What an operator is told of members that come and go, and of room that runs out."""

import pytest

from blockstore.store import Usage
from cluster.state import Member, Role
from node.watch import Sight, told_of_members, told_of_room

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
    assert told_of_members(before, after, frozenset(seen)) == lines


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
