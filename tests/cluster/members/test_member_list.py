"""Who belongs: granted by trusted members, agreed by all, and never by a peer's own word."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.inline_database import InlineDatabase
from support.pinset_member import agree, grown_cluster, identity, some_genesis, some_pin

from cluster.common import wire
from cluster.common.hybrid_clock import HybridClock, seconds
from cluster.common.local_member import LocalMember
from cluster.errors import BadUpdate, CannotRemove, ReadOnlyMember, UntrustedPeer
from cluster.interfaces import Duty, Role
from cluster.members.member_list import MemberList
from cluster.members.open_members import open_members
from cluster.members.record import MemberRecord, SignedMemberRecord, sign_record
from cluster.members.record_store import MemberRecordStore

GENESIS = some_genesis()
A, B, C, X = (identity(number) for number in (0, 1, 2, 9))


def wall() -> float:
    return 1e9 + asyncio.get_running_loop().time()


async def members_of(number: int, database: InlineDatabase | None = None) -> MemberList:
    local = LocalMember(GENESIS, identity(number), HybridClock(lambda: 1e9))
    return await open_members(MemberRecordStore(database or InlineDatabase()), local)


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
    return sign_record(MemberRecord("grant", peer, by.peer_id, stamp, role=role), GENESIS.cluster_id, by)


async def test_a_grant_by_an_untrusted_peer_needs_a_trusted_voucher() -> None:
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
async def test_no_peer_makes_itself_a_member(role: str) -> None:
    members = await members_of(0)
    with suppress(BadUpdate):  # some forms are refused from any peer
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
    forged = sign_record(
        MemberRecord("grant", X.peer_id, A.peer_id, 1, role="trusted"), GENESIS.cluster_id, X
    )
    elsewhere = sign_record(MemberRecord("grant", X.peer_id, A.peer_id, 1, role="trusted"), bytes(32), A)
    foreign = sign_record(MemberRecord("profile", A.peer_id, X.peer_id, 1, name="x"), GENESIS.cluster_id, X)
    for record in (b"", honest[:-1], foreign, bytes(10_000)):
        assert await members.accept([record], vouched=True) == 0
    for record in (honest[:-5] + bytes(5), forged, elsewhere):
        with pytest.raises(BadUpdate):
            await members.accept([record], vouched=True)
    assert members.refused == 7
    assert members.records() == []


@pytest.mark.parametrize("behind", [[0] * 600, [[[[0]]]]], ids=["many values", "many levels"])
async def test_a_record_that_the_second_reader_is_not_to_see_is_refused_though_it_is_signed(
    behind: list[wire.Wire],
) -> None:
    members = await members_of(0)
    honest = wire.decode(grant(B.peer_id, 0, 1), 8192)
    assert isinstance(honest, dict)
    with pytest.raises(BadUpdate, match="values, or"):
        await members.accept([wire.encode(honest | {"zz": behind})], vouched=True)
    assert (members.refused, members.records()) == (1, [])


RECORDS = [
    grant(peer.peer_id, 0, stamp, role)
    for peer in (B, C)
    for stamp in (1, 2, 3)
    for role in ("trusted", "follower", "removed")
]


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
    (found,) = (member for member in a.pinset.members.members() if member.peer == b.peer)
    assert found.name == f"member {b.peer[-4:]}"
    assert found.addresses == (f"/ip4/127.0.0.1/tcp/1/p2p/{b.peer}",)
    await a.stop()
    await b.stop()


def profile(
    number: int, stamp: int, name: str = "x", addresses: tuple[str, ...] = (), signer: int | None = None
) -> bytes:
    peer, by = identity(number).peer_id, identity(number if signer is None else signer)
    record = MemberRecord("profile", peer, by.peer_id, stamp, name=name, addresses=addresses)
    return sign_record(record, GENESIS.cluster_id, by)


ODD = [
    ("x", (f"/dns4/☃/tcp/1/p2p/{B.peer_id}",)),
    ("x", (f"/dns4/{'a' * 70}/tcp/1/p2p/{B.peer_id}",)),
    ("x", (f"/ip4/127.0.0.1/tcp/1/p2p/{A.peer_id}",)),
    ("x", (f"/ip4/127.0.0.1/tcp/1/p2p/{B.peer_id}\n",)),
    ("x", ("hello",)),
    ("x", ("",)),
    ("x", (f"/ip4/127.0.0.1/tcp/1/p2p/{B.peer_id}",) * 300),
    ("\x1b]0;owned\x07", ()),
    ("two\nlines", ()),
    ("\u202eknab", ()),
    ("x" * 256, ()),
]


@pytest.mark.parametrize(("name", "addresses"), ODD)
@pytest.mark.parametrize("vouched", [True, False])
async def test_a_profile_that_does_not_parse_is_not_kept_and_the_others_with_it_are(
    name: str, addresses: tuple[str, ...], vouched: bool
) -> None:
    database = InlineDatabase()
    members = await members_of(0, database)
    heard: list[bytes] = []
    members.on_records(heard.extend)
    good = [grant(B.peer_id, 0, 1, "follower"), grant(C.peer_id, 0, 1), profile(2, 1, "fine")]
    assert await members.accept([profile(1, 2, name, addresses), *good], vouched) == 3
    assert sorted(heard) == sorted(members.records()) == sorted(good)
    assert members.refused == 1
    assert [member.name for member in members.members() if member.peer == C.peer_id] == ["fine"]


async def test_a_stored_record_of_a_version_that_read_less_closely_is_dropped_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = InlineDatabase()
    store = MemberRecordStore(database)
    odd = profile(1, 1, "x", (f"/dns4/{'a' * 70}/tcp/1/p2p/{B.peer_id}",))
    await store.put(
        [
            ("grant", B.peer_id, grant(B.peer_id, 0, 1)),
            ("profile", B.peer_id, odd),
            ("grant", C.peer_id, b"rot"),
        ]
    )
    members = await members_of(0, database)
    assert members.is_trusted(B.peer_id)
    assert members.records() == [grant(B.peer_id, 0, 1)]
    assert len([line for line in caplog.messages if "is dropped" in line]) == 2
    assert await members.accept([profile(1, 2)], vouched=False) == 1, "a good one takes its place"
    caplog.clear()
    assert len((await members_of(0, database)).records()) == 2
    assert caplog.messages == []


class Counting:
    """A signer that counts what it is asked to verify."""

    def __init__(self, number: int) -> None:
        self._identity = identity(number)
        self.peer_id = self._identity.peer_id
        self.verified = 0

    def sign(self, data: bytes) -> bytes:
        return self._identity.sign(data)

    def verify(self, peer: str, data: bytes, signature: bytes) -> bool:
        self.verified += 1
        return self._identity.verify(peer, data, signature)


async def counting() -> tuple[MemberList, Counting]:
    signer = Counting(0)
    local = LocalMember(GENESIS, signer, HybridClock(lambda: 1e9))
    return await open_members(MemberRecordStore(InlineDatabase()), local), signer


async def test_profiles_and_grants_of_strangers_are_not_even_verified() -> None:
    members, signer = await counting()
    strangers = range(100, 200)
    flood = [profile(number, stamp) for number in strangers for stamp in (1, 2)]
    flood += [grant(identity(number + 1).peer_id, number, 1) for number in strangers]
    assert await members.accept(flood, vouched=False) == 0
    assert signer.verified == 0


async def test_what_is_known_already_is_not_verified_again_and_a_forgery_ends_the_call() -> None:
    members, signer = await counting()
    honest = [grant(B.peer_id, 0, 1), profile(1, 5)]
    assert await members.accept(honest, vouched=False) == 2
    signer.verified = 0
    assert await members.accept([*honest * 500, profile(1, 4)], vouched=True) == 0
    assert signer.verified == 0
    forged = [
        sign_record(
            MemberRecord("grant", identity(n).peer_id, A.peer_id, 9, role="trusted"), GENESIS.cluster_id, X
        )
        for n in range(100)
    ]
    with pytest.raises(BadUpdate):
        await members.accept(forged, vouched=False)
    assert signer.verified == 1


@virtual_time
async def test_a_member_that_changes_its_profile_all_the_time_is_not_followed_at_once() -> None:
    members, signer = await counting()
    await members.grant(B.peer_id, Role.FOLLOWER)
    signer.verified = 0
    for stamp in range(1, 200):
        await members.accept([profile(1, stamp, f"{stamp}")], vouched=False)
    assert signer.verified == 1
    await asyncio.sleep(6)
    assert await members.accept([profile(1, 200, "last")], vouched=False) == 1
    assert await members.accept([profile(1, 201, "vouched")], vouched=True) == 1


@pytest.mark.parametrize("vouched", [True, False])
async def test_records_that_build_on_each_other_in_the_worst_order_are_each_verified_once(
    vouched: bool,
) -> None:
    members, signer = await counting()
    chain = [grant(identity(number + 1).peer_id, number, number + 1) for number in range(150)]
    profiles = [profile(number + 1, 1) for number in range(150)]
    assert await members.accept([*profiles, *chain[::-1]], vouched) == 300
    assert signer.verified == 300
    assert len(members.members()) == 151


async def test_the_only_trusted_member_cannot_be_removed() -> None:
    members = await members_of(0)
    await members.grant(B.peer_id, Role.FOLLOWER)
    with pytest.raises(CannotRemove, match="only trusted member"):
        await members.remove(A.peer_id)
    await members.grant(C.peer_id, Role.TRUSTED)
    await members.remove(A.peer_id)
    assert not members.is_member(A.peer_id)


async def test_what_we_are_called_and_where_we_listen_is_told_only_as_far_as_members_take_it() -> None:
    members = await members_of(0)
    await members.announce("a\x1bb\udfff", ["☃", f"/ip4/192.0.2.7/tcp/1/p2p/{A.peer_id}"])
    (us,) = members.members()
    assert (us.name, us.addresses) == ("ab", (f"/ip4/192.0.2.7/tcp/1/p2p/{A.peer_id}",))


@virtual_time
async def test_a_member_that_was_away_when_it_was_removed_is_told_once_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = SimNetwork(Random(1), delay=0.01)
    a, b, c = members = await grown_cluster(3, network, wall)
    await c.stop()
    await a.pinset.members.remove(c.peer)
    await agree([a, b])
    caplog.clear()
    await c.start()
    async with asyncio.timeout(120):
        while not c.pinset.standing.problem:  # noqa: ASYNC110 - its user looks now and then, too
            await asyncio.sleep(1)
    assert f"removed from the cluster by member {a.peer[-4:]}" in c.pinset.standing.problem
    assert "pinfold cluster invite" in c.pinset.standing.problem
    assert len([line for line in caplog.messages if "was removed from the cluster" in line]) == 1
    with pytest.raises(ReadOnlyMember, match="was removed from the cluster"):
        await c.pinset.put(some_pin(1))
    await c.kill()
    caplog.clear()
    await c.start()
    assert "was removed from the cluster" in c.pinset.standing.problem, "each start says so"
    for member in members:
        await member.stop()


@virtual_time
async def test_a_removed_member_comes_back_with_a_new_invitation_and_not_with_the_old_one() -> None:
    network = SimNetwork(Random(1), delay=0.01)
    a, b = await grown_cluster(2, network, wall)
    await a.pinset.members.remove(b.peer)
    async with asyncio.timeout(120):
        while not b.pinset.standing.problem:  # noqa: ASYNC110 - see above
            await asyncio.sleep(1)
    await b.stop()
    await b.start(await a.pinset.invite(b"s" * 32))
    await b.pinset.standing.joined.wait()
    await agree([a, b])
    await b.pinset.put(some_pin(2))
    await agree([a, b])
    assert len(await a.rows()) == 1
    assert b.pinset.standing.joined.is_set()
    await a.stop()
    await b.stop()


T1, T2 = b"first invite", b"second invite"


async def test_an_invitation_stays_used_when_its_user_gets_another_grant_or_leaves() -> None:
    database = InlineDatabase()
    members = await members_of(0, database)
    await members.grant(B.peer_id, Role.FOLLOWER, T1)
    await members.grant(B.peer_id, Role.TRUSTED, T2)
    assert await members.accept([grant(B.peer_id, 1, 1 << 60, "removed")], vouched=False) == 1
    for one in (members, await members_of(0, database)):
        assert [one.invited_with(invite) for invite in (T1, T2)] == [B.peer_id] * 2


async def test_who_left_in_the_far_future_can_be_let_in_again_and_spoils_no_stamp_of_others() -> None:
    members = await members_of(0)
    await members.grant(B.peer_id, Role.FOLLOWER)
    assert await members.accept([grant(B.peer_id, 1, 1 << 62, "removed")], vouched=False) == 1
    await members.grant(B.peer_id, Role.FOLLOWER)
    assert members.is_member(B.peer_id)
    await members.grant(C.peer_id, Role.FOLLOWER)
    (_, of_c) = (SignedMemberRecord.read(one).record for one in members.records() if b"follower" in one)
    assert seconds(of_c.stamp) == 1e9


async def test_a_duty_travels_and_ends_where_its_member_comes_back() -> None:
    first, second = await members_of(0), await members_of(1)
    await first.grant(B.peer_id, Role.TRUSTED)
    await first.set_duty(B.peer_id, Duty.DRAIN)
    await second.accept(first.records(), vouched=True)
    assert second.drained() == {B.peer_id}
    assert second.digest() == first.digest()
    await first.remove(B.peer_id)
    assert first.duty(B.peer_id) is Duty.OPEN
    await first.grant(B.peer_id, Role.TRUSTED)
    assert first.drained() == frozenset(), "it was invited again, to be of use"
    await first.set_duty(B.peer_id, Duty.DRAIN_HELD)
    assert first.drained() == {B.peer_id}


@pytest.mark.parametrize("duty", ["", "gone", "trusted", "removed"])
async def test_an_unknown_duty_and_one_that_a_stranger_gives_are_passed_over(duty: str) -> None:
    members = await members_of(0)
    await members.grant(B.peer_id, Role.TRUSTED)
    odd = MemberRecord("duty", B.peer_id, A.peer_id, 1 << 50, role=duty)
    assert await members.accept([sign_record(odd, GENESIS.cluster_id, A)], vouched=True) == 0
    foreign = MemberRecord("duty", B.peer_id, X.peer_id, 1 << 50, role="drain")
    assert await members.accept([sign_record(foreign, GENESIS.cluster_id, X)], vouched=False) == 0
    assert members.drained() == frozenset()
