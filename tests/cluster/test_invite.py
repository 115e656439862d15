"""One string lets one machine in, for a while; a damaged, used or foreign one says what is wrong."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.pinset_member import SECRET, PinsetMember, agree, identity, some_genesis, some_pin

from cluster.errors import BadInvite, ReadOnlyMember
from cluster.invite import Invite, make_invite
from cluster.state import Role

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
        while not member.pinset.join_problem:  # noqa: ASYNC110 - the text is all there is to wait for
            await asyncio.sleep(0.1)
    return member.pinset.join_problem


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
async def test_an_address_that_answers_as_somebody_else_is_not_believed() -> None:
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
