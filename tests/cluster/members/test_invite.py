"""One string lets one machine in, for a while; a damaged, used or foreign one says what is wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.pinset_member import SECRET, PinsetMember, agree, identity, some_genesis, some_pin

from blockstore.sqlite.database import open_database
from cluster.common.genesis import MAX_NAME_BYTES, Genesis, found_cluster
from cluster.common.hybrid_clock import HybridClock
from cluster.common.local_member import LocalMember
from cluster.common.wire import encode
from cluster.errors import BadInvite, ReadOnlyMember
from cluster.interfaces import Role
from cluster.members.invite import Invite, make_invite
from cluster.members.join import JoinHandler
from cluster.members.open_members import open_members
from cluster.members.record_store import SCHEMA, MemberRecordStore
from cluster.pinset.tables.schema import PRAGMAS

GENESIS = some_genesis()
INVITE = make_invite(GENESIS, identity(0), SECRET, ("/ip4/127.0.0.1/tcp/1",), Role.FOLLOWER, 2e9)


def wall() -> float:
    return 1e9 + asyncio.get_running_loop().time()


def test_a_token_holds_all_that_a_new_machine_needs() -> None:
    token = str(INVITE)
    assert token.startswith("pinfold1")
    assert Invite.parse(token) == INVITE
    assert Invite.parse(f"  {token[:50]}\n{token[50:]}\n") == INVITE, "a terminal may have wrapped it"
    assert INVITE.genesis.cluster_id == GENESIS.cluster_id
    assert (INVITE.grant.role, INVITE.grant.expires) == (Role.FOLLOWER, 2e9)
    assert INVITE.trusted == (identity(0).peer_id,)


@given(position=st.integers(8, len(str(INVITE)) - 1), letter=st.sampled_from("aZ09-_!é"))
def test_one_wrong_letter_is_noticed(position: int, letter: str) -> None:
    token = str(INVITE)
    if token[position] != letter:
        with pytest.raises(BadInvite, match="damaged"):
            Invite.parse(token[:position] + letter + token[position + 1 :])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no join token"),
        ("hello", "no join token"),
        ("pinfold2" + str(INVITE)[8:], 'version "2"'),
        (str(INVITE)[:-20], "damaged"),
        ("pinfold1", "damaged"),
        ("pinfold1" + "A" * 20_000, "no join token"),
    ],
)
def test_what_is_no_token_says_why(text: str, reason: str) -> None:
    with pytest.raises(BadInvite, match=reason):
        Invite.parse(text)


def test_a_secret_of_the_wrong_size_is_not_put_into_a_token() -> None:
    with pytest.raises(BadInvite):
        make_invite(GENESIS, identity(0), b"short", (), Role.TRUSTED, 2e9)


async def problem_of(member: PinsetMember) -> str:
    async with asyncio.timeout(60):
        while not member.pinset.standing.join_problem:  # noqa: ASYNC110 - the text is all there is to wait for
            await asyncio.sleep(0.1)
    return member.pinset.standing.join_problem


@virtual_time
async def test_a_token_serves_one_peer_once() -> None:
    network = SimNetwork(Random(1))
    a, b, c = (PinsetMember(number, GENESIS, network, wall) for number in range(3))
    invite = await (await a.start()).invite(SECRET)
    await b.start(invite)
    await agree([a, b])
    await c.start(invite)
    assert "used already" in await problem_of(c)
    with pytest.raises(ReadOnlyMember, match="used already"):
        await c.pinset.put(some_pin(1))
    await b.kill(0)  # the first start again: the same peer may show it again
    await b.start()
    await agree([a, b])
    assert b.pinset.members.is_trusted(b.peer)
    await a.pinset.members.remove(b.peer)
    await b.kill(0)
    await b.start()
    assert "used already" in await problem_of(b), "and not after it was removed"
    for member in (a, b, c):
        await member.stop()


async def test_of_many_that_show_one_token_at_once_one_is_let_in(tmp_path: Path) -> None:
    """While the member that lets them in is busy writing what others announced."""
    signer = identity(0)
    shown = encode({"cluster": GENESIS.cluster_id, "grant": INVITE.grant.envelope, "records": []})
    file = open_database(tmp_path / "cluster.db", pragmas=PRAGMAS, schema=SCHEMA, remedy="")
    async with file as database:
        clock = HybridClock(lambda: 1e9)
        local = LocalMember(GENESIS, signer, clock)
        members = await open_members(MemberRecordStore(database), local)
        handler = JoinHandler(local, members, lambda: 1e9)
        joins = [handler.answer(identity(number).peer_id, shown) for number in range(2, 8)]
        results = await asyncio.gather(
            members.announce("a", ("/ip4/127.0.0.1/tcp/1",)), *joins, return_exceptions=True
        )
        assert sum(isinstance(result, BadInvite) for result in results) == 5
        assert len(members.members()) == 2


@virtual_time
async def test_a_token_ends_when_it_says() -> None:
    network = SimNetwork(Random(1))
    a, b = (PinsetMember(number, GENESIS, network, wall) for number in range(2))
    invite = await (await a.start()).invite(SECRET, lifetime=60.0)
    await asyncio.sleep(61.0)
    await b.start(invite)
    assert "expired" in await problem_of(b)
    await a.stop()
    await b.stop()


@virtual_time
async def test_a_token_of_another_cluster_or_inviter_is_refused() -> None:
    network = SimNetwork(Random(1))
    a, b, c = (PinsetMember(number, GENESIS, network, wall) for number in range(3))
    await a.start()
    addresses = (f"/ip4/127.0.0.1/tcp/1/p2p/{a.peer}",)
    other = some_genesis()
    foreign = make_invite(other, a.signer, SECRET, addresses, Role.TRUSTED, 2e9)
    b.genesis = other
    await b.start(foreign)
    assert "for another one" in await problem_of(b)
    by_stranger = make_invite(GENESIS, identity(9), SECRET, addresses, Role.TRUSTED, 2e9)
    await c.start(Invite(GENESIS, SECRET, addresses, (a.peer,), by_stranger.grant))
    assert "not made by a trusted member" in await problem_of(c)
    for member in (a, b, c):
        await member.stop()


@virtual_time
async def test_joining_waits_for_a_member_to_answer() -> None:
    network = SimNetwork(Random(1))
    a, b = (PinsetMember(number, GENESIS, network, wall) for number in range(2))
    invite = await (await a.start()).invite(SECRET)
    await a.pinset.put(some_pin(1))
    await a.stop()
    await b.start(invite)
    await asyncio.sleep(100.0)
    with pytest.raises(ReadOnlyMember, match="answered yet"):
        await b.pinset.put(some_pin(2))
    await a.start()
    await agree([a, b])
    await b.pinset.put(some_pin(2))
    await agree([a, b])
    assert len(await a.rows()) == 2
    await a.stop()
    await b.stop()


@virtual_time
async def test_an_address_that_answers_as_another_peer_is_not_believed() -> None:
    network = SimNetwork(Random(1))
    b = PinsetMember(1, GENESIS, network, wall)
    stranger = network.attach(identity(9).peer_id).name
    await b.start(
        Invite(
            GENESIS, SECRET, (f"/ip4/127.0.0.1/tcp/1/p2p/{stranger}",), (identity(0).peer_id,), INVITE.grant
        )
    )
    await asyncio.sleep(10.0)
    assert not b.pinset.members.is_member(b.peer)
    await b.stop()


PLACES = {
    "a default": ["/ip4/127.0.0.1/tcp/9096"],
    "a long one": ["/ip4/203.0.113.250/tcp/65535"],
    "IPv6": ["/ip6/2001:db8:1234:5678:abcd:ef01:2345:6789/tcp/65535"],
    "a name": ["/dns4/a-rather-long-machine-name.example.org/tcp/9096"],
    "many": [f"/ip4/10.0.0.{n}/tcp/9096" for n in range(1, 200)],
    "peer ids": [f"/ip4/10.0.0.{n}/tcp/9096/p2p/{identity(0).peer_id}" for n in range(1, 40)],
}


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("founder", [0, 1])
@pytest.mark.parametrize("name", ["a", "n" * MAX_NAME_BYTES, "🗄" * (MAX_NAME_BYTES // 4)])
def test_an_invitation_has_at_most_350_characters(places: list[str], founder: int, name: str) -> None:
    genesis = found_cluster(name, identity(founder).peer_id, 1.8e9)
    for role in Role:
        made = make_invite(genesis, identity(0), SECRET, places, role, 1.9e9)
        assert len(str(made)) <= 350
        assert Invite.parse(str(made)) == made
        assert 1 <= len(made.addresses) <= len(places)
        assert all(address.endswith(identity(0).peer_id) for address in made.addresses)


def test_of_many_addresses_those_stay_that_most_machines_can_reach() -> None:
    places = [
        "/ip4/127.0.0.1/tcp/1",
        *(f"/ip4/10.0.0.{n}/tcp/1" for n in range(1, 9)),
        "/ip4/8.8.8.8/tcp/1",
        "/dns4/h/tcp/1",
    ]
    made = make_invite(GENESIS, identity(0), SECRET, places, Role.TRUSTED, 1.9e9)
    assert [address.partition("/p2p/")[0] for address in made.addresses[:3]] == [
        "/dns4/h/tcp/1",
        "/ip4/8.8.8.8/tcp/1",
        "/ip4/10.0.0.1/tcp/1",
    ]


@pytest.mark.parametrize("host", ["☃", "a" * 70, "a\nb", "\udfff", ""])
def test_an_address_where_no_machine_could_join_is_put_into_no_invitation(host: str) -> None:
    with pytest.raises(BadInvite, match=r"cluster\.announce"):
        make_invite(GENESIS, identity(0), SECRET, [f"/dns4/{host}/tcp/1"], Role.TRUSTED, 2e9)


@pytest.mark.parametrize("host", ["☃", "a" * 70, "a\nb", ""])
def test_a_token_with_an_address_that_no_peer_can_dial_is_refused(host: str) -> None:
    odd = replace(INVITE, addresses=(f"/dns4/{host}/tcp/1/p2p/{identity(0).peer_id}",))
    with pytest.raises(BadInvite, match="cannot be read") as caught:
        Invite.parse(str(odd))
    assert str(caught.value).isprintable()


OLD_GENESIS = Genesis("old", identity(0).peer_id, 1.7e9, bytes(16), 3, form=1)


def old_token(addresses: list[str], role: Role = Role.TRUSTED) -> str:
    """As the first version wrote them."""
    us = identity(0)
    payload = encode({"id": bytes(16), "role": role.value, "expires": 2e9, "by": us.peer_id})
    signature = us.sign(b"pinfold invite 1\0" + OLD_GENESIS.cluster_id + payload)
    body = encode(
        {
            "genesis": bytes(OLD_GENESIS),
            "secret": SECRET,
            "addresses": addresses,
            "trusted": [us.peer_id],
            "grant": encode({"p": payload, "s": signature}),
        }
    )
    checksum = hashlib.sha256(b"pinfold token\0" + body).digest()[:6]
    return "pinfold1" + base64.urlsafe_b64encode(body + checksum).decode().rstrip("=")


@virtual_time
async def test_a_token_of_the_first_version_lets_in_at_any_trusted_member() -> None:
    network = SimNetwork(Random(1))
    a, b, c = (PinsetMember(number, OLD_GENESIS, network, wall) for number in range(3))
    invite = Invite.parse(old_token([f"/ip4/127.0.0.1/tcp/1/p2p/{a.peer}"]))
    assert invite.genesis == OLD_GENESIS
    await a.start()
    await b.start(invite)
    await agree([a, b])
    assert b.pinset.members.is_trusted(b.peer)
    new = await b.pinset.invite(SECRET)
    assert Invite.parse(str(new)) == new
    await c.start(new)
    await agree([a, b, c])
    for member in (a, b, c):
        await member.stop()


@virtual_time
async def test_a_node_joins_by_a_connection_that_its_user_named_where_the_token_leads_nowhere_any_more() -> (
    None
):
    network = SimNetwork(Random(1))
    a, b = (PinsetMember(number, GENESIS, network, wall) for number in range(2))
    made = await (await a.start()).invite(SECRET)
    moved = replace(made, addresses=(f"/ip4/192.0.2.9/tcp/1/p2p/{identity(7).peer_id}",))
    await b.start(moved)  # the network of these tests connects b to a by itself
    await agree([a, b])
    await a.stop()
    await b.stop()
