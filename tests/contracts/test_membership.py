"""What every Membership promises (cluster/interfaces.py), run against each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from support.inline_database import InlineDatabase
from support.memory_members import MemoryMembers
from support.pinset_member import identity, some_genesis

from cluster.common.hybrid_clock import HybridClock
from cluster.common.local_member import LocalMember
from cluster.errors import CannotRemove, ReadOnlyMember, UntrustedPeer
from cluster.interfaces import Duty, Member, Membership, Role
from cluster.members.member_list import MemberList
from cluster.members.open_members import open_members
from cluster.members.record_store import MemberRecordStore

GENESIS = some_genesis()
FOUNDER, TRUSTED, FOLLOWER, STRANGER = (identity(number).peer_id for number in (0, 1, 2, 9))
NAMES = {FOUNDER: "founder", TRUSTED: "trusted", FOLLOWER: "follower"}
ADDRESS = "/ip4/127.0.0.1/tcp/9096/p2p/"

Opener = Callable[[int], Awaitable[Membership]]
"""The list of three members as the one of that number sees it: founder, trusted, follower."""


async def _opened(number: int) -> MemberList:
    local = LocalMember(GENESIS, identity(number), HybridClock(lambda: 1e9))
    return await open_members(MemberRecordStore(InlineDatabase()), local)


async def records(us: int) -> Membership:
    """The real thing: signed records, shown by the founder and by each member of itself."""
    lists = [await _opened(number) for number in range(3)]
    founder = lists[0]
    await founder.grant(TRUSTED, Role.TRUSTED)
    await founder.grant(FOLLOWER, Role.FOLLOWER)
    for members, (peer, name) in zip(lists, NAMES.items(), strict=True):
        await members.accept(founder.records(), vouched=True)
        await members.announce(name, (ADDRESS + peer,))
    for members in lists:
        await lists[us].accept(members.records(), vouched=True)
    return lists[us]


async def memory(us: int) -> Membership:
    """The stand-in that simulated clusters run on."""
    roles = (Role.TRUSTED, Role.TRUSTED, Role.FOLLOWER)
    members = [
        Member(peer, name, role, (ADDRESS + peer,))
        for (peer, name), role in zip(NAMES.items(), roles, strict=True)
    ]
    return MemoryMembers(members, us=[*NAMES][us])


@pytest.fixture(params=[records, memory])
def opener(request: pytest.FixtureRequest) -> Opener:
    chosen: Opener = request.param
    return chosen


@pytest.mark.parametrize("us", range(3))
async def test_every_member_is_listed_in_order_with_what_it_says_of_itself(opener: Opener, us: int) -> None:
    members = (await opener(us)).members()
    assert [member.peer for member in members] == sorted(NAMES)
    assert {member.peer: member.name for member in members} == NAMES
    assert all(member.addresses == (ADDRESS + member.peer,) for member in members)


async def test_roles_are_told_and_a_stranger_has_none(opener: Opener) -> None:
    membership = await opener(0)
    peers = (FOUNDER, TRUSTED, FOLLOWER, STRANGER)
    assert [membership.is_member(peer) for peer in peers] == [True, True, True, False]
    assert [membership.is_trusted(peer) for peer in peers] == [True, True, False, False]
    roles = {FOUNDER: Role.TRUSTED, TRUSTED: Role.TRUSTED, FOLLOWER: Role.FOLLOWER}
    assert {member.peer: member.role for member in membership.members()} == roles
    assert {peer: membership.role(peer) for peer in peers} == {**roles, STRANGER: None}
    assert membership.peers() == roles.keys()
    assert [membership.name(peer) for peer in peers] == ["founder", "trusted", "follower", ""]
    assert membership.removed() == frozenset()


async def test_a_removed_member_is_none_any_more_and_its_name_is_still_known(opener: Opener) -> None:
    membership = await opener(0)
    await membership.remove(TRUSTED)
    assert not membership.is_member(TRUSTED)
    assert not membership.is_trusted(TRUSTED)
    assert membership.role(TRUSTED) is None
    assert membership.peers() == {FOUNDER, FOLLOWER}
    assert {member.peer for member in membership.members()} == {FOUNDER, FOLLOWER}
    assert membership.removed() == {TRUSTED}
    assert membership.name(TRUSTED) == "trusted"


async def test_who_is_no_member_cannot_be_removed(opener: Opener) -> None:
    membership = await opener(0)
    with pytest.raises(UntrustedPeer):
        await membership.remove(STRANGER)
    await membership.remove(FOLLOWER)
    with pytest.raises(UntrustedPeer):
        await membership.remove(FOLLOWER)
    assert membership.removed() == {FOLLOWER}


async def test_the_last_trusted_member_cannot_be_removed(opener: Opener) -> None:
    membership = await opener(1)
    await membership.remove(FOUNDER)
    with pytest.raises(CannotRemove):
        await membership.remove(TRUSTED)
    assert membership.is_trusted(TRUSTED)


async def test_a_follower_may_remove_itself_and_no_other(opener: Opener) -> None:
    membership = await opener(2)
    with pytest.raises(ReadOnlyMember):
        await membership.remove(TRUSTED)
    assert membership.is_trusted(TRUSTED)
    await membership.remove(FOLLOWER)
    assert membership.removed() == {FOLLOWER}


async def test_a_member_that_is_drained_is_told_until_that_is_taken_back(opener: Opener) -> None:
    membership = await opener(0)
    assert membership.duty(TRUSTED) is Duty.OPEN
    await membership.set_duty(TRUSTED, Duty.DRAIN)
    await membership.set_duty(FOLLOWER, Duty.DRAIN_HELD)
    assert membership.drained() == {TRUSTED, FOLLOWER}
    await membership.set_duty(FOLLOWER, Duty.HELD)
    assert membership.duty(FOLLOWER) is Duty.HELD
    assert membership.drained() == {TRUSTED}
    await membership.set_duty(TRUSTED, Duty.OPEN)
    assert membership.drained() == frozenset()


async def test_who_is_no_member_has_no_duty_and_a_follower_gives_none(opener: Opener) -> None:
    membership = await opener(0)
    with pytest.raises(UntrustedPeer):
        await membership.set_duty(STRANGER, Duty.DRAIN)
    await membership.set_duty(TRUSTED, Duty.DRAIN)
    await membership.remove(TRUSTED)
    assert (membership.duty(TRUSTED), membership.drained()) == (Duty.OPEN, frozenset())
    follower = await opener(2)
    with pytest.raises(ReadOnlyMember):
        await follower.set_duty(FOLLOWER, Duty.DRAIN)
    assert follower.drained() == frozenset()
