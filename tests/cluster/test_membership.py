"""Who belongs: granted by trusted members, told by gossip, agreed by all, and never by one's own word."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.inline_database import InlineDatabase
from support.pinset_member import agree, grown_cluster, identity, some_genesis, some_pin

from cluster.clock import HybridClock
from cluster.errors import BadUpdate, ReadOnlyMember, UntrustedPeer
from cluster.membership import Members, open_members
from cluster.records import Record, sign_record
from cluster.state import Role
from cluster.store import PinsetStore

GENESIS = some_genesis()
A, B, C, X = (identity(number) for number in (0, 1, 2, 9))


def wall() -> float:
    return 1e9 + asyncio.get_running_loop().time()


async def members_of(number: int, database: InlineDatabase | None = None) -> Members:
    signer = identity(number)
    store = PinsetStore(database or InlineDatabase())
    return await open_members(store, GENESIS, signer, HybridClock(lambda: 1e9), ())


async def test_the_founder_is_the_first_member_and_the_grants_are_durable() -> None:
    database = InlineDatabase()
    members = await members_of(0, database)
    assert [member.peer for member in members.members()] == [A.peer_id]
    await members.grant(B.peer_id, Role.FOLLOWER)
    await members.announce("a", (f"/ip4/127.0.0.1/tcp/9096/p2p/{A.peer_id}",))
    again = await members_of(0, database)
    assert again.members() == members.members()
    assert {member.peer: member.role for member in again.members()} == {
        A.peer_id: Role.TRUSTED,
        B.peer_id: Role.FOLLOWER,
    }
    assert next(member.name for member in again.members() if member.peer == A.peer_id) == "a"


async def test_only_trusted_members_grant_and_remove() -> None:
    members = await members_of(1)
    with pytest.raises(ReadOnlyMember):
        await members.grant(C.peer_id, Role.TRUSTED)
    with pytest.raises(ReadOnlyMember):
        await members.remove(A.peer_id)
    with pytest.raises(UntrustedPeer):
        await members.remove(X.peer_id)


def grant(peer: str, signer: int, stamp: int, role: str = "trusted") -> bytes:
    by = identity(signer)
    return sign_record(Record("grant", peer, by.peer_id, stamp, role=role), GENESIS.cluster_id, by)


async def test_a_grant_by_nobody_we_trust_needs_a_trusted_voucher() -> None:
    members = await members_of(0)
    assert await members.accept([grant(C.peer_id, 9, 1)], vouched=False) == 0
    assert await members.accept([grant(C.peer_id, 9, 1)], vouched=True) == 1
    assert members.is_trusted(C.peer_id)


async def test_grants_that_build_on_each_other_are_taken_in_any_order() -> None:
    members = await members_of(3)
    chain = [grant(X.peer_id, 2, 3), grant(C.peer_id, 1, 2), grant(B.peer_id, 0, 1)]
    assert await members.accept(chain, vouched=False) == 3
    assert members.is_trusted(X.peer_id)


@pytest.mark.parametrize("role", ["trusted", "follower", "king"])
async def test_nobody_makes_himself_a_member(role: str) -> None:
    members = await members_of(0)
    with suppress(BadUpdate):  # some forms are refused whoever sends them
        assert await members.accept([grant(X.peer_id, 9, 1, role)], vouched=False) == 0
    assert not members.is_member(X.peer_id)


async def test_a_member_may_leave_by_itself() -> None:
    members = await members_of(0)
    await members.grant(B.peer_id, Role.TRUSTED)
    assert await members.accept([grant(B.peer_id, 1, 1 << 60, "removed")], vouched=False) == 1
    assert not members.is_member(B.peer_id)


async def test_damaged_and_forged_records_are_refused() -> None:
    members = await members_of(0)
    honest = grant(B.peer_id, 0, 1)
    forged = sign_record(Record("grant", X.peer_id, A.peer_id, 1, role="trusted"), GENESIS.cluster_id, X)
    elsewhere = sign_record(Record("grant", X.peer_id, A.peer_id, 1, role="trusted"), bytes(32), A)
    told = sign_record(Record("profile", A.peer_id, X.peer_id, 1, name="x"), GENESIS.cluster_id, X)
    for record in (b"", honest[:-1], told, bytes(10_000)):
        assert await members.accept([record], vouched=True) == 0
    for record in (honest[:-5] + bytes(5), forged, elsewhere):
        with pytest.raises(BadUpdate):
            await members.accept([record], vouched=True)
    assert members.refused == 7
    assert members.records() == []


RECORDS = [
    grant(peer.peer_id, 0, stamp, role)
    for peer in (B, C)
    for stamp in (1, 2, 3)
    for role in ("trusted", "follower", "removed")
]


@settings(deadline=None)
@given(order=st.permutations(RECORDS))
async def test_the_newest_record_counts_in_whatever_order_they_come(order: list[bytes]) -> None:
    members = await members_of(0)
    for record in order:
        await members.accept([record], vouched=True)
    assert [members.role(peer.peer_id) for peer in (B, C)] == [None, None], "removal wins between equals"
    assert len(members.records()) == 2


@virtual_time
async def test_a_removed_member_is_heard_no_more_and_what_it_pinned_stays() -> None:
    network = SimNetwork(Random(1), delay=0.01)
    a, b, c = members = await grown_cluster(3, network, wall)
    await c.pinset.put(some_pin(1))
    await agree(members)
    await a.pinset.members.remove(c.peer)
    await agree([a, b, c])
    with pytest.raises(ReadOnlyMember):
        await c.pinset.put(some_pin(2))
    assert len(await a.rows()) == len(await b.rows()) == 1
    assert c.peer not in {member.peer for member in b.pinset.members.members()}
    for member in members:
        await member.stop()


@virtual_time
async def test_all_agree_though_a_removal_overtakes_the_removed_members_last_pin() -> None:
    network = SimNetwork(Random(1), delay=0.01)
    a, b, c, d = members = await grown_cluster(4, network, wall)
    network.part([a.peer, b.peer], [c.peer, d.peer])
    await d.pinset.put(some_pin(1))  # c, which trusts d still, keeps it
    await agree([c, d])
    await a.pinset.members.remove(d.peer)
    await agree([a, b])
    await d.stop()
    network.part()
    await agree([a, b, c])
    assert len(await a.rows()) == len(await b.rows()) == len(await c.rows()) == 1
    for member in members[:3]:
        await member.stop()


@virtual_time
async def test_names_and_addresses_are_told_to_all() -> None:
    network = SimNetwork(Random(1), delay=0.01)
    a, b = await grown_cluster(2, network, wall)
    (told,) = (member for member in a.pinset.members.members() if member.peer == b.peer)
    assert told.name == f"member {b.peer[-4:]}"
    assert told.addresses == (f"/ip4/127.0.0.1/tcp/1/p2p/{b.peer}",)
    await a.stop()
    await b.stop()
