"""Members that no user named to each other stay connected by the member list."""

from __future__ import annotations

from random import Random

from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.inline_database import InlineDatabase
from support.pinset_member import identity, some_genesis

from cluster.common.hybrid_clock import HybridClock
from cluster.common.local_member import LocalMember
from cluster.interfaces import Role
from cluster.members.links import MemberLinks
from cluster.members.member_list import MemberList
from cluster.members.open_members import open_members
from cluster.members.record_store import MemberRecordStore

GENESIS = some_genesis()
A, B, C = (identity(number) for number in range(3))


def at(peer: str, port: int = 9096) -> tuple[str, ...]:
    return (f"/ip4/192.0.2.1/tcp/{port}/p2p/{peer}",)


async def members_of(number: int) -> MemberList:
    local = LocalMember(GENESIS, identity(number), HybridClock(lambda: 1e9))
    return await open_members(MemberRecordStore(InlineDatabase()), local)


@virtual_time
async def test_every_other_member_is_kept_where_it_says_it_is_from_when_it_joins_to_when_it_is_removed() -> (
    None
):
    members, b = await members_of(0), await members_of(1)
    link = SimNetwork(Random(1)).attach(A.peer_id)
    MemberLinks(A.peer_id, members, link)
    assert link.kept == {}
    await members.grant(B.peer_id, Role.TRUSTED)
    await members.grant(C.peer_id, Role.FOLLOWER)
    assert link.kept == {B.peer_id: (), C.peer_id: ()}
    await b.accept(members.records(), vouched=True)
    for port in (9096, 9097):
        await b.announce("b", at(B.peer_id, port))
        await members.accept(b.records(), vouched=True)
        assert link.kept[B.peer_id] == at(B.peer_id, port)
    await members.remove(B.peer_id)
    assert link.kept == {C.peer_id: ()}


@virtual_time
async def test_what_is_stored_is_kept_from_the_start_and_a_removed_member_keeps_none() -> None:
    founder, us = await members_of(0), await members_of(1)
    await founder.grant(B.peer_id, Role.TRUSTED)
    await us.accept(founder.records(), vouched=True)
    link = SimNetwork(Random(1)).attach(B.peer_id)
    MemberLinks(B.peer_id, us, link)
    assert link.kept == {A.peer_id: ()}
    await founder.remove(B.peer_id)
    await us.accept(founder.records(), vouched=True)
    assert link.kept == {}
